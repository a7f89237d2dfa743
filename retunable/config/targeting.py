"""Whether a flag is on for a caller, and why.

Attributes and ids are what the program or a trusted gateway says of the caller. Lists hold
keyed hashes: who reads the store learns no id from them, and cannot join two flags' lists.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from hashlib import sha256

from retunable.config.flags import AttributeRule, Flag
from retunable.config.split import BUCKETS, Unit, edge_of


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
    """One flag for one caller; ``on`` is whether the caller has it."""

    name: str
    reason: FlagReason
    on: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", self.reason in _ON)


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
        named = sha256(b"retunable flag list key\0" + secret).hexdigest()
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
    return sha256(prefix + user_hash).digest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is left to ask of an id, once a flag's rules, its list's key and the time are settled.

    ``hashes`` is None where no list is asked, ``edge`` where no share of the callers is; both are
    None where all callers of these attributes get ``otherwise``.
    """

    hashes: frozenset[bytes] | None = None
    list_prefix: bytes = b""
    edge: bytes | None = None
    split_prefix: bytes = b""
    listed: FlagDecision
    inside: FlagDecision
    otherwise: FlagDecision


def settle(flag: Flag, caller: Caller, *, now: float) -> Question:
    """Return what a flag asks of callers who differ in nothing but their id.

    ``now`` is in seconds since the epoch. Most of a flag is settled by what many callers share,
    so that a caller never seen costs two hashes a flag at most.
    """
    listed = decision(flag.name, FlagReason.LISTED)
    inside = decision(flag.name, FlagReason.IN_PERCENT)
    if not flag.enabled or now >= flag.expires_at:
        reason = FlagReason.EXPIRED if flag.enabled else FlagReason.DISABLED
        return Question(listed=listed, inside=inside, otherwise=decision(flag.name, reason))
    hashes, unlisted = _list_of(flag, caller)
    rest, edge = _by_rules(flag, caller)
    return Question(
        hashes=hashes,
        list_prefix=flag.list_prefix,
        edge=edge,
        split_prefix=flag.split_prefix,
        listed=listed,
        inside=inside,
        otherwise=decision(flag.name, _of_both(flag, unlisted, rest)),
    )


def ask(questions: Sequence[Question], caller: Caller) -> tuple[FlagDecision, ...]:
    """Return each flag for one of the callers whom its question was settled for."""
    hashed, id_bytes = caller.user_hash or b"", caller.id_bytes
    found = []
    for one in questions:
        if one.hashes is not None and _listed_as(one.list_prefix, hashed) in one.hashes:
            found.append(one.listed)
        elif one.edge is not None and sha256(one.split_prefix + id_bytes).digest() < one.edge:
            found.append(one.inside)
        else:
            found.append(one.otherwise)
    return tuple(found)


def evaluate(flag: Flag, caller: Caller, *, now: float) -> FlagReason:
    """Return why a flag is on or off; ``now`` is in seconds since the epoch."""
    (found,) = ask([settle(flag, caller, now=now)], caller)
    return found.reason


def _list_of(flag: Flag, caller: Caller) -> tuple[frozenset[bytes] | None, FlagReason | None]:
    """Return the list to look in, and why whoever is not in it has no flag by it."""
    if flag.users is None:
        return None, None
    if caller.list_key is None or caller.list_key.id != flag.users.key_id:
        return None, FlagReason.OTHER_KEY
    if caller.user_hash is None:
        return None, FlagReason.NOT_LISTED
    return flag.users.hashes, FlagReason.NOT_LISTED


def _by_rules(flag: Flag, caller: Caller) -> tuple[FlagReason, bytes | None]:
    """Return what rules and percent say of a caller outside of the share below the edge."""
    for rule in flag.rules:
        if not _meets(rule, caller.attributes):
            return FlagReason.NOT_MATCHED, None
    if flag.buckets == BUCKETS:
        return (FlagReason.MATCHED if flag.rules else FlagReason.IN_PERCENT), None
    if flag.buckets == 0:
        return FlagReason.OUTSIDE_PERCENT, None
    if caller.unit is None:
        return FlagReason.NOBODY, None
    return FlagReason.OUTSIDE_PERCENT, edge_of(flag.buckets)


def _of_both(flag: Flag, unlisted: FlagReason | None, rest: FlagReason) -> FlagReason:
    if rest in _ON or unlisted is None:
        return rest
    has_rules = bool(flag.rules) or flag.buckets > 0
    return unlisted if unlisted is FlagReason.OTHER_KEY or not has_rules else rest


def _meets(rule: AttributeRule, attributes: Mapping[str, str]) -> bool:
    """An attribute that nobody told meets no rule, an excluding one neither: it is unknown."""
    value = attributes.get(rule.attribute)
    return value is not None and (value in rule.values) != rule.excluded
