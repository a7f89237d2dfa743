"""Who falls into a share of the callers: a hash of a salt and an id against a percent.

The same salt and id give the same bucket in every process and language (vectors stand in
``tests/unit/config/split_vectors.json``), so a share that grows never loses anybody.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

BUCKETS: Final = 10_000
"""Steps of 0.01 %: a percent is a number of buckets, a caller lies in one of them."""

LONGEST_ID_BYTES: Final = 256

UnitKind = Literal["user", "conversation"]


@dataclass(frozen=True, slots=True)
class Unit:
    """Who is split: a user, or for a caller without one the conversation."""

    kind: UnitKind
    id: str


def unit_of(user_id: str | None, conversation_id: str | None) -> Unit | None:
    """Return who decides for a caller; None where nobody does.

    A user id that cannot be split is not replaced by the conversation: the caller is known, and
    would be counted as somebody else.
    """
    if user_id is not None:
        return Unit("user", user_id) if is_usable(user_id) else None
    if conversation_id is not None and is_usable(conversation_id):
        return Unit("conversation", conversation_id)
    return None


def is_usable(unit_id: str) -> bool:
    """Tell whether an id can be split: valid Unicode of 1 to 256 bytes in UTF-8."""
    try:
        return 0 < len(unit_id.encode()) <= LONGEST_ID_BYTES
    except UnicodeEncodeError:
        return False


def bucket_of(salt: str, unit_id: str) -> int:
    """Return the bucket, 0 to 9999, of an id's exact UTF-8 bytes; nothing is normalised.

    The first 8 bytes of SHA-256 over salt, one zero byte and id, as a big-endian number n, give
    n × 10,000 / 2^64 without its fraction. A salt never holds a zero byte.
    """
    return bucket_after(split_prefix(salt), unit_id.encode())


def split_prefix(salt: str) -> bytes:
    """Return what is hashed before an id."""
    return salt.encode() + b"\0"


def bucket_after(prefix: bytes, unit_id: bytes) -> int:
    """Return ``bucket_of`` from a salt's ``split_prefix`` and an id in UTF-8."""
    digest = hashlib.sha256(prefix + unit_id).digest()
    return int.from_bytes(digest[:8], "big") * BUCKETS >> 64


def edge_of(buckets: int) -> bytes:
    """Return what the SHA-256 of an id in the first ``buckets`` (fewer than all) lies below.

    Asking for the bucket itself takes twice as long.
    """
    return (-(-(buckets << 64) // BUCKETS)).to_bytes(8)


def buckets_of_percent(percent: object) -> int | None:
    """Return how many buckets a percent is; None where it is none in steps of 0.01."""
    if isinstance(percent, bool) or not isinstance(percent, int | float):
        return None
    if not 0 <= percent <= 100:
        return None
    buckets = round(percent * 100)
    return buckets if buckets / 100 == percent else None
