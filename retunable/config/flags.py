"""Flags as an envelope carries them: what each changes, and for whom.

A flag puts tools, guardrails or fields on or off for some callers, without a new version. Who
gets it is decided in ``targeting``; here it is read and checked by itself.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from retunable.config.agent_config import MAX_TEXT_BYTES, AgentConfig, InvalidField, check_field
from retunable.config.constraints import Constraints
from retunable.config.fieldset import check_constraints, checked_fields
from retunable.config.rejection import Refused
from retunable.config.shape import (
    a_bool,
    a_list,
    a_text,
    a_time,
    an_object,
    check_names,
    some_buckets,
    wrong,
)
from retunable.config.split import BUCKETS, split_prefix

_OPTIONAL: Final = (
    "enabled",
    "users",
    "when",
    "percent",
    "salt",
    "expires_at",
    "set",
    "tools",
    "guardrails",
)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_HASH = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class UserList:
    """Users by keyed hash; ``key_id`` tells which key made the hashes."""

    key_id: str
    hashes: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class AttributeRule:
    """One attribute and the values that it must have, or (``excluded``) must not have."""

    attribute: str
    values: frozenset[str]
    excluded: bool = False


@dataclass(frozen=True)
class Change:
    """What a flag changes: fields set, tools and guardrails on or off (False, None)."""

    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    tools: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    guardrails: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields that it touches."""
        parts = [name for name in ("tools", "guardrails") if getattr(self, name)]
        return frozenset((*self.values, *parts))

    def applied(self, name: str, value: Any) -> Any:
        """Return what one of its fields becomes; whether that is allowed is not looked at."""
        if name == "tools":
            kept = [tool for tool in value or () if self.tools.get(tool, True)]
            return (*kept, *(tool for tool, on in self.tools.items() if on and tool not in kept))
        if name == "guardrails":
            merged = value | dict(self.guardrails)
            return {check: settings for check, settings in merged.items() if settings is not None}
        return self.values[name]


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One flag: on for the users listed, and for ``buckets`` of those who meet all rules.

    ``expires_at`` is in seconds since the epoch, infinite where the flag does not expire.
    """

    name: str
    enabled: bool = True
    users: UserList | None = None
    rules: tuple[AttributeRule, ...] = ()
    buckets: int = 0
    salt: str = ""
    expires_at: float = math.inf
    change: Change = field(default_factory=Change)

    @cached_property
    def list_prefix(self) -> bytes:
        """What is hashed before a user's keyed hash: how users stand in its list."""
        return self.name.encode() + b"\0"

    @cached_property
    def split_prefix(self) -> bytes:
        """What is hashed before an id: which bucket the id falls into."""
        return split_prefix(self.salt)


def parse_flags(
    value: object, *, variants: tuple[AgentConfig, ...], constraints: Constraints
) -> tuple[Flag, ...]:
    """Read an envelope's flags, each checked alone above each of its variants.

    Raises:
        Refused: a flag has another shape, or a variant with it breaks a constraint.
    """
    flags = tuple(_flag(number, member) for number, member in enumerate(a_list("flags", value)))
    names = [flag.name for flag in flags]
    if twice := [name for name in names if names.count(name) > 1]:
        wrong("flags", f"name {twice[0]!r} twice")
    for flag in flags:
        _check(flag, variants, constraints)
    _check_together(flags, variants)
    return flags


def with_flags(config: AgentConfig, flags: tuple[Flag, ...]) -> AgentConfig:
    """Return a config with the changes of flags, in their order; constraints are not looked at."""
    for flag in flags:
        change = flag.change
        config = config.with_values(
            {name: change.applied(name, getattr(config, name)) for name in change.fields}
        )
    return config


def _flag(number: int, value: object) -> Flag:
    flag = an_object(f"flags[{number}]", value)
    check_names(flag, required=("name",), optional=_OPTIONAL, part=f"flags[{number}]")
    name = flag["name"]
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        wrong(f"flags[{number}].name", "must be made of [a-z0-9._-], like 'beta-search'")
    part = f"flag {name}"
    rules = tuple(
        _rule(f"{part}: when", rule) for rule in a_list(f"{part}: when", flag.get("when"))
    )
    percent = flag.get("percent", 100 if rules else 0)
    buckets = some_buckets(f"{part}: percent", percent)
    if 0 < buckets < BUCKETS and "salt" not in flag:
        wrong(part, "needs a salt of its own beside its percent")
    return Flag(
        name=name,
        enabled=a_bool(f"{part}: enabled", flag.get("enabled", True)),
        users=_users(f"{part}: users", flag.get("users")),
        rules=rules,
        buckets=buckets,
        salt=a_text(f"{part}: salt", flag["salt"]) if "salt" in flag else "",
        expires_at=_expiry(f"{part}: expires_at", flag.get("expires_at")),
        change=_change(part, flag),
    )


def _users(part: str, value: object) -> UserList | None:
    if value is None:
        return None
    users = an_object(part, value)
    check_names(users, required=("key_id", "hashes"), part=part)
    hashes = a_list(f"{part}.hashes", users["hashes"])
    if not all(isinstance(member, str) and _HASH.fullmatch(member) for member in hashes):
        wrong(f"{part}.hashes", "must hold keyed hashes of 32 hexadecimal digits, never ids")
    return UserList(
        a_text(f"{part}.key_id", users["key_id"]), frozenset(map(bytes.fromhex, hashes))
    )


def _rule(part: str, value: object) -> AttributeRule:
    rule = an_object(part, value)
    operator = "not_in" if "not_in" in rule else "in"
    check_names(rule, required=("attribute", operator), part=part)
    values = a_list(part, rule[operator])
    if not values or not all(isinstance(member, str) for member in values):
        wrong(part, f"{operator} must be a list of texts")
    attribute = a_text(f"{part}: attribute", rule["attribute"])
    return AttributeRule(attribute, frozenset(values), excluded=operator == "not_in")


def _expiry(part: str, value: object) -> float:
    return math.inf if value is None else a_time(part, value)


def _change(part: str, flag: Mapping[str, Any]) -> Change:
    values = checked_fields(an_object(f"{part}: set", flag.get("set", {})))
    if own := values.keys() & {"tools", "guardrails"}:
        name = min(own)
        wrong(part, f"has {name} in its set; write which are on and off in its part {name!r}")
    tools = an_object(f"{part}: tools", flag.get("tools", {}))
    for name, on in tools.items():
        a_bool(f"{part}: tools.{name[:60]}", on)
    guardrails = an_object(f"{part}: guardrails", flag.get("guardrails", {}))
    for name, settings in guardrails.items():
        if settings is not None:
            an_object(f"{part}: guardrails.{name[:60]}", settings)
    frozen = (MappingProxyType(member) for member in (values, tools, guardrails))
    return Change(*frozen)


def _check(flag: Flag, variants: tuple[AgentConfig, ...], constraints: Constraints) -> None:
    try:
        for variant in variants:
            config = with_flags(variant, (flag,))
            for name in flag.change.fields:
                check_field(name, getattr(config, name))
            check_constraints(config, constraints)
    except InvalidField as error:
        reason = f"flag {flag.name}: {error}"
        raise Refused("invalid_value", reason, field=error.field, flag=flag.name) from error
    except Refused as refusal:
        reason = f"flag {flag.name}: {refusal.reason}"
        raise Refused(refusal.code, reason, field=refusal.field, flag=flag.name) from refusal


def _check_together(flags: tuple[Flag, ...], variants: tuple[AgentConfig, ...]) -> None:
    """Refuse flags that could together be more than a field takes, whoever has which of them."""
    for field_name in ("tools", "guardrails"):
        parts = [getattr(flag.change, field_name) for flag in flags]
        parts += [getattr(variant, field_name) or () for variant in variants]
        if sum(len(json.dumps(part, default=dict).encode()) for part in parts) > MAX_TEXT_BYTES:
            wrong("flags", f"and the versions name more {field_name} than {MAX_TEXT_BYTES} bytes")
