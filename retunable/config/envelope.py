"""The release envelope, version 1, and the tombstone: documents that a control plane writes.

Checks all of it: schema, agent, environment, signature (where the program names trusted keys),
checksums, every config. Which generation may follow which is decided in ``build``. Parts that
have no effect here are named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from retunable.config.agent_config import AgentConfig
from retunable.config.checksum import SCHEMA, checksum
from retunable.config.declaration import Declaration
from retunable.config.fieldset import check_constraints, complete_config
from retunable.config.package import PACKAGE_VERSION
from retunable.config.rejection import Refused
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
_ROLLOUT: Final = ("id", "salt", "stages", "stage", "control_percent")
_CHECKSUM = re.compile(r"[0-9]+:[a-z0-9]+:[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Variant:
    """One version as an envelope carries it; ``checksum`` is the version checksum."""

    version: int
    checksum: str
    config: AgentConfig


@dataclass(frozen=True, slots=True)
class Envelope:
    """A published release. ``not_honoured`` names the parts that have no effect here."""

    generation: int
    published_at: str | None
    stable: Variant
    canary: Variant | None
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
    _check_names(
        value,
        required=_TOMBSTONE if reset else _REQUIRED,
        optional=_TOMBSTONE_OPTIONAL if reset else _OPTIONAL,
    )
    _check_owner(value, declaration)
    if value.get("signature") is not None:
        check_signature_shape(value["signature"])
    if declaration.trust is not None:
        declaration.trust.check(value)
    generation = _whole_number(value, "generation")
    if reset:
        if value["reset"] is not True:
            _wrong("reset", "must be true")
        return Tombstone(generation)
    return _envelope(value, generation, declaration)


def _envelope(value: Mapping[str, Any], generation: int, declaration: Declaration) -> Envelope:
    _check_unhonoured_shapes(value)
    stable = _variant("stable", value["stable"], declaration)
    offered = value.get("canary")
    canary = None if offered is None else _variant("canary", offered, declaration)
    unverified = () if declaration.trust is not None else ("signature",)
    return Envelope(
        generation=generation,
        published_at=_optional_text(value, "published_at"),
        stable=stable,
        canary=canary,
        revoked=_revoked(value.get("revoked")),
        overrides=parse_timed_overrides(
            value.get("overrides"),
            above=[variant.config for variant in (stable, canary) if variant is not None],
            constraints=declaration.constraints,
        ),
        not_honoured=tuple(
            name for name in ("canary", "rollout", "flags", *unverified) if value.get(name)
        ),
    )


def _variant(part: str, value: object, declaration: Declaration) -> Variant:
    if not isinstance(value, dict):
        _wrong(part, "must be an object with version, checksum and config")
    _check_names(value, required=("version", "checksum", "config"), optional=(), part=part)
    config, claimed = value["config"], value["checksum"]
    if not isinstance(config, dict):
        _wrong(f"{part}.config", "must be an object")
    actual = checksum(config)
    if claimed != actual:
        raise Refused("checksum", f"{part}.checksum is {claimed!r:.90}, its config has {actual!r}")
    checked = complete_config(config)
    check_constraints(checked, declaration.constraints)
    return Variant(_whole_number(value, "version"), actual, checked)


def _check_schema(value: Mapping[str, Any]) -> None:
    schema, needed = value["retunable"], value.get("min_retunable")
    if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
        _wrong("retunable", "must be the envelope's schema number, 1")
    if needed is not None and not (isinstance(needed, str) and _release(needed)):
        _wrong("min_retunable", "must be a version like '0.2.0'")
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


def _check_names(
    value: Mapping[str, Any],
    *,
    required: tuple[str, ...],
    optional: tuple[str, ...],
    part: str = "the envelope",
) -> None:
    if missing := [name for name in required if name not in value]:
        raise Refused("shape", f"{part} lacks {', '.join(missing)}")
    if unknown := [name for name in value if name not in required and name not in optional]:
        raise Refused("unknown_field", f"{part} has no part {unknown[0][:60]!r}")


def _check_unhonoured_shapes(value: Mapping[str, Any]) -> None:
    rollout, flags = value.get("rollout"), value.get("flags")
    if rollout is not None:
        if not isinstance(rollout, dict):
            _wrong("rollout", "must be null or an object")
        _check_names(rollout, required=_ROLLOUT, optional=(), part="rollout")
    if flags is not None and not (
        isinstance(flags, list) and all(isinstance(flag, dict) for flag in flags)
    ):
        _wrong("flags", "must be a list of objects")


def _revoked(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        _wrong("revoked", "must be a list of version checksums")
    for member in value:
        if not (isinstance(member, str) and _CHECKSUM.fullmatch(member)):
            _wrong("revoked", f"must hold version checksums, got {member!r:.80}")
    return tuple(value)


def _optional_text(value: Mapping[str, Any], name: str) -> str | None:
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        _wrong(name, "must be a string")
    return text


def _whole_number(value: Mapping[str, Any], name: str) -> int:
    number = value[name]
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        _wrong(name, f"must be an integer from 1 upwards, got {number!r:.40}")
    return int(number)


def _wrong(part: str, reason: str) -> NoReturn:
    raise Refused("shape", f"{part} {reason}")
