"""A variant with flags and field keys above it: the config, and which flags could not join in.

Each flag is valid alone above each variant. Together, or below a field key, they may break a
rule across fields: then those that touch its fields are left out, for the field keys stand above.

Callers have many combinations of flags, but few flags touch the same field: what a field becomes
is worked out, and written in canonical form, once for those that touch it, and a config once for
what its fields become.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from retunable.config.agent_config import AgentConfig
from retunable.config.checksum import canonical_members, checksum_of_members
from retunable.config.constraints import Constraints
from retunable.config.flags import Flag
from retunable.config.memo import Memo

MOST_MEMBERS: Final = 1024
MOST_CONFIGS: Final = 1024


@dataclass(frozen=True, slots=True)
class Layered:
    """A valid config, its effective checksum, and the flags that are in it."""

    config: AgentConfig
    checksum: str
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class _Member:
    """What one field becomes: its value and its canonical form, the name included."""

    value: Any
    canonical: bytes


@dataclass(frozen=True, slots=True)
class _Merged:
    """A config with its effective checksum, and what breaks a constraint in it."""

    config: AgentConfig
    checksum: str
    broken: frozenset[str]


class Layers:
    """One variant below its field keys, for any combination of flags between the two.

    The variant with its field keys is valid already, so that leaving out flags always ends there.
    """

    def __init__(
        self, base: AgentConfig, *, overrides: Mapping[str, Any], constraints: Constraints
    ) -> None:
        self._base = base
        self._overrides = overrides
        self._constraints = constraints
        self._bare = base.with_values(overrides)
        self._bare_members = canonical_members(self._bare.to_json())
        self._members = Memo(MOST_MEMBERS)
        self._merged = Memo(MOST_CONFIGS)

    def with_flags(self, flags: tuple[Flag, ...]) -> Layered:
        """Put flags, in their order, between the variant and its field keys."""
        while True:
            touched = self._touched(flags)
            merged = self._merge({name: self._member(name, touched[name]) for name in touched})
            left = tuple(flag for flag in flags if not flag.change.fields & merged.broken)
            if len(left) == len(flags):
                return Layered(merged.config, merged.checksum, flags)
            flags = left

    def _touched(self, flags: tuple[Flag, ...]) -> dict[str, list[Flag]]:
        """Return which flags touch each field that no field key covers."""
        touched: dict[str, list[Flag]] = {}
        for flag in flags:
            for name in flag.change.fields:
                if name not in self._overrides:
                    touched.setdefault(name, []).append(flag)
        return touched

    def _member(self, name: str, flags: list[Flag]) -> _Member:
        key = (name, *[flag.name for flag in flags])
        known: _Member | None = self._members.get(key)
        if known is None:
            value = getattr(self._base, name)
            for flag in flags:
                value = flag.change.applied(name, value)
            changed = self._base.with_values({name: value})
            written = canonical_members(changed.model_dump(mode="json", include={name}))
            known = _Member(value, written[name])
            self._members.put(key, known)
        return known

    def _merge(self, members: Mapping[str, _Member]) -> _Merged:
        key = tuple([members[name].canonical for name in sorted(members)])
        known: _Merged | None = self._merged.get(key)
        if known is None:
            config = self._bare.with_values({name: one.value for name, one in members.items()})
            written = self._bare_members | {name: one.canonical for name, one in members.items()}
            violations = self._constraints.check(config)
            broken = frozenset[str]().union(*(found.fields for found in violations))
            known = _Merged(config, checksum_of_members(written), broken)
            self._merged.put(key, known)
        return known
