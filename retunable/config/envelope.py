"""The release envelope, version 1, and the tombstone: documents that a control plane writes.

Checks all of it: schema, agent, environment, signature (where the program names trusted keys),
checksums, every config, rollout, flags and overrides. Which generation may follow which is decided
in ``build``. Parts that have no effect here are named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from retunable.config.agent_config import AgentConfig
from retunable.config.checksum import SCHEMA, checksum
from retunable.config.declaration import Declaration
from retunable.config.fieldset import check_constraints, complete_config
from retunable.config.flags import Flag, parse_flags
from retunable.config.package import PACKAGE_VERSION
from retunable.config.rejection import Refused
from retunable.config.shape import a_list, a_whole_number, an_object, check_names, wrong
from retunable.config.stages import Rollout, parse_rollout
from retunable.config.timed_overrides import TimedOverride, parse_timed_overrides
from retunable.config.trust import check_signature_shape

_REQUIRED: Final = ("retunable", "agent", "environment", "generation", "stable")
_OPTIONAL: Final = (
    "published_at",
    "min_retunable",
    "canary",
    "rollout",
    "flags",
    "revoked",
    "overrides",
    "signature",
)
_TOMBSTONE: Final = ("retunable", "reset", "agent", "environment", "generation")
_TOMBSTONE_OPTIONAL: Final = ("signature",)
_CHECKSUM = re.compile(r"[0-9]+:[a-z0-9]+:[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Variant:
    """One version as an envelope carries it; ``checksum`` is the version checksum."""

    version: int
    checksum: str
    config: AgentConfig


@dataclass(frozen=True, slots=True)
class Envelope:
    """A published release.

    ``not_honoured`` names the parts that have no effect here: a signature where the program names
    no trusted keys, and a canary or a rollout that stands without the other.
    """

    generation: int
    published_at: str | None
    stable: Variant
    canary: Variant | None
    rollout: Rollout | None
    flags: tuple[Flag, ...]
    revoked: tuple[str, ...]
    overrides: tuple[TimedOverride, ...]
    not_honoured: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Somebody means it: no document is wanted, and the generation mark goes on."""

    generation: int


def parse_marked(value: Mapping[str, Any], declaration: Declaration) -> Envelope | Tombstone:
    """Read an object that says of itself that it is ours (it has ``retunable``).

    Raises:
        Refused: anything about it is wrong.
    """
    _check_schema(value)
    reset = "reset" in value
    check_names(
        value,
        required=_TOMBSTONE if reset else _REQUIRED,
        optional=_TOMBSTONE_OPTIONAL if reset else _OPTIONAL,
    )
    _check_owner(value, declaration)
    if value.get("signature") is not None:
        check_signature_shape(value["signature"])
    if declaration.trust is not None:
        declaration.trust.check(value)
    generation = a_whole_number("generation", value["generation"])
    if reset:
        if value["reset"] is not True:
            wrong("reset", "must be true")
        return Tombstone(generation)
    return _envelope(value, generation, declaration)


def _envelope(value: Mapping[str, Any], generation: int, declaration: Declaration) -> Envelope:
    stable = _variant("stable", value["stable"], declaration)
    canary = _canary(value.get("canary"), declaration)
    configs = (stable.config,) if canary is None else (stable.config, canary.config)
    rollout = parse_rollout(value.get("rollout"))
    unverified = declaration.trust is None and value.get("signature") is not None
    return Envelope(
        generation=generation,
        published_at=_optional_text(value, "published_at"),
        stable=stable,
        canary=canary,
        rollout=rollout,
        flags=parse_flags(
            value.get("flags"), variants=configs, constraints=declaration.constraints
        ),
        revoked=_revoked(value.get("revoked")),
        overrides=parse_timed_overrides(
            value.get("overrides"), above=configs, constraints=declaration.constraints
        ),
        not_honoured=_without_effect(canary=canary, rollout=rollout, unverified=unverified),
    )


def _canary(value: object, declaration: Declaration) -> Variant | None:
    return None if value is None else _variant("canary", value, declaration)


def _without_effect(
    *, canary: Variant | None, rollout: Rollout | None, unverified: bool
) -> tuple[str, ...]:
    alone = (("canary", canary, rollout), ("rollout", rollout, canary))
    names = [name for name, part, needed in alone if part is not None and needed is None]
    return (*names, "signature") if unverified else tuple(names)


def _variant(part: str, value: object, declaration: Declaration) -> Variant:
    whole = an_object(part, value)
    check_names(whole, required=("version", "checksum", "config"), part=part)
    config, claimed = an_object(f"{part}.config", whole["config"]), whole["checksum"]
    actual = checksum(config)
    if claimed != actual:
        raise Refused("checksum", f"{part}.checksum is {claimed!r:.90}, its config has {actual!r}")
    checked = complete_config(config)
    check_constraints(checked, declaration.constraints)
    return Variant(a_whole_number(f"{part}.version", whole["version"]), actual, checked)


def _check_schema(value: Mapping[str, Any]) -> None:
    schema, needed = value["retunable"], value.get("min_retunable")
    if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
        wrong("retunable", "must be the envelope's schema number, 1")
    if needed is not None and not (isinstance(needed, str) and _release(needed)):
        wrong("min_retunable", "must be a version like '0.2.0'")
    if schema > SCHEMA:
        raise Refused("newer_schema", f"needs retunable ≥ {needed or f'schema {schema}'}")
    if needed and _release(needed) > _release(PACKAGE_VERSION):
        raise Refused("newer_schema", f"needs retunable ≥ {needed}, this is {PACKAGE_VERSION}")


def _release(text: str) -> tuple[int, ...]:
    match = re.match(r"\d{1,9}(?:\.\d{1,9})*", text)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def _check_owner(value: Mapping[str, Any], declaration: Declaration) -> None:
    if value["agent"] != declaration.agent:
        raise Refused(
            "other_agent", f"is for agent {value['agent']!r:.80}, not {declaration.agent!r}"
        )
    if value["environment"] != declaration.environment:
        raise Refused(
            "other_environment",
            f"is for environment {value['environment']!r:.80}, not {declaration.environment!r}",
        )


def _revoked(value: object) -> tuple[str, ...]:
    members = a_list("revoked", value)
    for member in members:
        if not (isinstance(member, str) and _CHECKSUM.fullmatch(member)):
            wrong("revoked", f"must hold version checksums, got {member!r:.80}")
    return tuple(members)


def _optional_text(value: Mapping[str, Any], name: str) -> str | None:
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        wrong(name, "must be a string")
    return text
