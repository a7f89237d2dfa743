"""What a write should bring about in a running agent, and what its report says of that.

Pure: two reports in, a verdict out. A report counts as an answer only where the agent has read
the store since the write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retunable.cli.agent_client import Report


@dataclass(frozen=True, slots=True)
class Applied:
    """The agent runs on what was written; ``hidden`` are fields that a field key covers."""

    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """The agent has read what was written and refuses it."""

    reason: str


Verdict = Applied | Rejected


@dataclass(frozen=True, slots=True)
class FieldSet:
    """One field key holds a value."""

    field: str
    key: str
    value: Any

    def seen(self, report: Report) -> Applied | None:
        source = report["sources"][self.field]
        effective = source["key"] == self.key and not source["kept"]
        return Applied() if effective and report["config"][self.field] == self.value else None


@dataclass(frozen=True, slots=True)
class FieldUnset:
    """One field key is gone, and the layer below shows through."""

    field: str
    key: str

    def seen(self, report: Report) -> Applied | None:
        return Applied() if report["sources"][self.field]["key"] != self.key else None


@dataclass(frozen=True, slots=True)
class DocumentSet:
    """The document sets some fields; field keys may stand above it."""

    key: str
    values: Mapping[str, Any]

    def seen(self, report: Report) -> Applied | None:
        hidden: list[str] = []
        for name, value in self.values.items():
            source = report["sources"][name]
            if source["layer"] == "override":
                hidden.append(name)
            elif source["kept"] or source["key"] != self.key or report["config"][name] != value:
                return None
        return Applied(tuple(hidden))


@dataclass(frozen=True, slots=True)
class DocumentReset:
    """The document is a tombstone of this generation."""

    key: str
    generation: int

    def seen(self, report: Report) -> Applied | None:
        there = report["document"] == "tombstone" and report["generation"] == self.generation
        return Applied() if there else None


@dataclass(frozen=True, slots=True)
class ReleaseTaken:
    """The agent runs on a release of this generation, or on a later one."""

    key: str
    generation: int

    def seen(self, report: Report) -> Applied | None:
        there = report["document"] == "envelope" and report["generation"] >= self.generation
        return Applied() if there else None


Expectation = FieldSet | FieldUnset | DocumentSet | DocumentReset | ReleaseTaken


def verdict(
    expectations: tuple[Expectation, ...],
    *,
    before: Report | None,
    now: Report,
    seconds_since_write: float,
) -> Verdict | None:
    """Tell whether a write was applied or rejected; None while the agent has not said."""
    if now["config"] is None:
        return None
    fresh = now["age_seconds"] is not None and now["age_seconds"] < seconds_since_write
    hidden: list[str] = []
    waiting = False
    for expectation in expectations:
        rejection = _rejection(now, expectation.key)
        if rejection and (fresh or rejection != _rejection(before, expectation.key)):
            return Rejected(str(rejection["reason"]))
        seen = None if rejection else expectation.seen(now)
        waiting = waiting or seen is None
        hidden += seen.hidden if seen else ()
    return None if waiting else Applied(tuple(hidden))


def _rejection(report: Report | None, key: str) -> Mapping[str, Any] | None:
    rejected = report["rejected"] if report else ()
    return next((rejection for rejection in rejected if rejection["key"] == key), None)
