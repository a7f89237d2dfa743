"""A variant with flags and field keys above it: the config, and which flags could not join in.

Each flag is valid alone above each variant. Together, or below a field key, they may break a
rule across fields: then those that touch its fields are left out, for the field keys stand above.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retunable.config.agent_config import AgentConfig
from retunable.config.constraints import Constraints
from retunable.config.flags import Flag, with_flags


@dataclass(frozen=True, slots=True)
class Layered:
    """A valid config and the flags that are in it."""

    config: AgentConfig
    flags: tuple[Flag, ...]


def layer(
    base: AgentConfig,
    *,
    flags: tuple[Flag, ...],
    overrides: Mapping[str, Any],
    constraints: Constraints,
) -> Layered:
    """Put flags, in their order, and then field keys above a variant's config.

    The base with its overrides is valid already, so that leaving out flags always ends there.
    """
    while flags:
        config = with_flags(base, flags).with_values(overrides)
        broken = _broken_fields(config, flags, constraints)
        if not broken:
            return Layered(config, flags)
        flags = tuple(flag for flag in flags if not flag.change.fields & broken)
    return Layered(base.with_values(overrides), ())


def _broken_fields(
    config: AgentConfig, flags: tuple[Flag, ...], constraints: Constraints
) -> frozenset[str]:
    """Return those fields of every violation that a flag touches."""
    violations = constraints.check(config)
    if not violations:
        return frozenset()
    touched = frozenset[str]().union(*(flag.change.fields for flag in flags))
    return touched & frozenset[str]().union(*(found.fields for found in violations))
