"""Whether a flag is on for a caller, and why.

Attributes and ids are what the program or a trusted gateway says of the caller. Lists hold
keyed hashes: who reads the store learns no id from them, and cannot join two flags' lists.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache

from retunable.config.flags import AttributeRule, Flag
from retunable.config.split import BUCKETS, Unit, bucket_after


class FlagReason(StrEnum):
    """Why a flag is on or off for a caller."""

    LISTED = "the user is in its list"
    MATCHED = "the attributes meet its rules"
    IN_PERCENT = "the caller is in its percent"
    DISABLED = "it is disabled"
    EXPIRED = "it has expired"
    NOT_MATCHED = "the attributes do not meet its rules"
    OUTSIDE_PERCENT = "the caller is outside its percent"
    NOT_LISTED = "the user is not in its list"
    NOBODY = "the caller has no usable user or conversation id"
    OTHER_KEY = "its list was made with a key that this program does not have"
    CONFLICT = "with what else holds for the caller it would break a constraint"


_ON = frozenset({FlagReason.LISTED, FlagReason.MATCHED, FlagReason.IN_PERCENT})


@dataclass(frozen=True, slots=True)
class FlagDecision:
    """One flag for one caller."""

    name: str
    reason: FlagReason

    @property
    def on(self) -> bool:
        """Whether the caller has it."""
        return self.reason in _ON


@lru_cache(maxsize=4096)
def decision(name: str, reason: FlagReason) -> FlagDecision:
    """Return a flag's decision; callers with the same one share it."""
    return FlagDecision(name, reason)


@dataclass(frozen=True, slots=True)
class ListKey:
    """The secret under which users are listed; ``id`` names it and tells nothing of it."""

    secret: bytes
    id: str

    @classmethod
    def of(cls, secret: bytes) -> ListKey:
        """Return a key with its id."""
        named = hashlib.sha256(b"retunable flag list key\0" + secret).hexdigest()
        return cls(secret, named[:16])

    def listed_as(self, flag: str, user_id: str) -> str:
        """Return how a user stands in a flag's list, in hexadecimal."""
        return _listed_as(flag.encode() + b"\0", self.hash_of(user_id)).hex()

    def hash_of(self, user_id: str) -> bytes:
        """Return HMAC-SHA256 of a user's id; it stands in no list as it is."""
        return hmac.digest(self.secret, user_id.encode(), "sha256")


class Caller:
    """Who is asking; ``unit`` is None where neither a user nor a conversation is known."""

    def __init__(
        self, unit: Unit | None, attributes: Mapping[str, str], list_key: ListKey | None = None
    ) -> None:
        self.unit = unit
        self.attributes = attributes
        self.list_key = list_key

    @cached_property
    def id_bytes(self) -> bytes:
        """The id that is split, in UTF-8; empty where there is none."""
        return self.unit.id.encode() if self.unit else b""

    @cached_property
    def user_hash(self) -> bytes | None:
        """The user's keyed hash, reckoned once for all flags; None without a user or a key."""
        if self.list_key is None or self.unit is None or self.unit.kind != "user":
            return None
        return self.list_key.hash_of(self.unit.id)


def _listed_as(prefix: bytes, user_hash: bytes) -> bytes:
    """Return 128 bits of SHA-256 over a flag's name, a zero byte and a user's keyed hash."""
    return hashlib.sha256(prefix + user_hash).digest()[:16]


def evaluate(flag: Flag, caller: Caller, *, now: float) -> FlagReason:
    """Return why a flag is on or off; ``now`` is in seconds since the epoch."""
    if not flag.enabled:
        return FlagReason.DISABLED
    if now >= flag.expires_at:
        return FlagReason.EXPIRED
    listed = _listed(flag, caller)
    if listed is FlagReason.LISTED:
        return listed
    rest = _by_rules(flag, caller)
    if rest in _ON or listed is None:
        return rest
    return listed if listed is FlagReason.OTHER_KEY or not _has_rules(flag) else rest


def _listed(flag: Flag, caller: Caller) -> FlagReason | None:
    if flag.users is None:
        return None
    if caller.list_key is None or caller.list_key.id != flag.users.key_id:
        return FlagReason.OTHER_KEY
    if caller.user_hash is None:
        return FlagReason.NOT_LISTED
    told = _listed_as(flag.list_prefix, caller.user_hash)
    return FlagReason.LISTED if told in flag.users.hashes else FlagReason.NOT_LISTED


def _has_rules(flag: Flag) -> bool:
    return bool(flag.rules) or flag.buckets > 0


def _by_rules(flag: Flag, caller: Caller) -> FlagReason:
    for rule in flag.rules:
        if not _meets(rule, caller.attributes):
            return FlagReason.NOT_MATCHED
    if flag.buckets == BUCKETS:
        return FlagReason.MATCHED if flag.rules else FlagReason.IN_PERCENT
    if flag.buckets == 0:
        return FlagReason.OUTSIDE_PERCENT
    if caller.unit is None:
        return FlagReason.NOBODY
    inside = bucket_after(flag.split_prefix, caller.id_bytes) < flag.buckets
    return FlagReason.IN_PERCENT if inside else FlagReason.OUTSIDE_PERCENT


def _meets(rule: AttributeRule, attributes: Mapping[str, str]) -> bool:
    """An attribute that nobody told meets no rule, an excluding one neither: it is unknown."""
    value = attributes.get(rule.attribute)
    return value is not None and (value in rule.values) != rule.excluded
