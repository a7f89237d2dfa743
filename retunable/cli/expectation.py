"""What a write should bring about in a running agent, and what its word says of that.

Pure: what it said before and says now in, a verdict out. A report over HTTP counts as an answer only
where the agent has read the store since the write. A heartbeat has no values, but short hashes of
what stood in the store: the answer is about what was written where that is what the agent saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retunable.cli.agent_client import Report
from retunable.events.shown_value import digest

if TYPE_CHECKING:
    from retunable.release.store.replicas import LiveReplica


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
    """One field key holds a value, as ``text``; None where it travels inside of a release."""

    field: str
    key: str
    value: Any
    text: str | None = None

    def seen(self, report: Report) -> Applied | None:
        source = report["sources"][self.field]
        effective = source["key"] == self.key and not source["kept"]
        return Applied() if effective and report["config"][self.field] == self.value else None

    def stands(self, replica: LiveReplica) -> bool | None:
        return None if self.text is None else _holds(replica, self.key, self.text)

    def heard(self, replica: LiveReplica) -> Applied | None:
        return Applied() if self.text is None or self.stands(replica) else None


@dataclass(frozen=True, slots=True)
class FieldUnset:
    """One field key is gone, and the layer below shows through."""

    field: str
    key: str

    def seen(self, report: Report) -> Applied | None:
        return Applied() if report["sources"][self.field]["key"] != self.key else None

    def stands(self, replica: LiveReplica) -> bool:
        return replica.items is not None and self.key not in dict(replica.items)

    def heard(self, replica: LiveReplica) -> Applied | None:
        return Applied() if self.stands(replica) else None


@dataclass(frozen=True, slots=True)
class DocumentSet:
    """The document sets some fields; field keys may stand above it, by field name."""

    key: str
    values: Mapping[str, Any]
    text: str
    field_keys: Mapping[str, str]

    def seen(self, report: Report) -> Applied | None:
        hidden: list[str] = []
        for name, value in self.values.items():
            source = report["sources"][name]
            if source["layer"] == "override":
                hidden.append(name)
            elif source["kept"] or source["key"] != self.key or report["config"][name] != value:
                return None
        return Applied(tuple(hidden))

    def stands(self, replica: LiveReplica) -> bool:
        return _holds(replica, self.key, self.text)

    def heard(self, replica: LiveReplica) -> Applied | None:
        if not self.stands(replica):
            return None
        present = dict(replica.items or ())
        return Applied(tuple(name for name in self.values if self.field_keys[name] in present))


@dataclass(frozen=True, slots=True)
class _Published:
    """A document with a generation stands under a key."""

    key: str
    generation: int

    def stands(self, replica: LiveReplica) -> None:
        """A heartbeat says of which generation the document is that it runs on, no more."""

    def heard(self, replica: LiveReplica) -> Applied | None:
        return Applied() if (replica.generation or 0) >= self.generation else None


class DocumentReset(_Published):
    """The document is a tombstone of this generation."""

    __slots__ = ()

    def seen(self, report: Report) -> Applied | None:
        there = report["document"] == "tombstone" and report["generation"] == self.generation
        return Applied() if there else None


class ReleaseTaken(_Published):
    """The agent runs on a release of this generation, or on a later one."""

    __slots__ = ()

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


def verdict_heard(
    expectations: tuple[Expectation, ...],
    *,
    before: LiveReplica | None,
    now: LiveReplica,
    settled: bool,
) -> Verdict | None:
    """Tell the same from heartbeats; ``settled``: this one is from long after the write."""
    hidden: list[str] = []
    waiting = False
    for expectation in expectations:
        heard, answered = expectation.heard(now), expectation.stands(now)
        reason = _reason(now, expectation.key)
        if answered is None:
            fresh = settled or reason != _reason(before, expectation.key)
            answered = heard is None and fresh
        if reason is not None and answered:
            return Rejected(reason)
        waiting = waiting or heard is None
        hidden += heard.hidden if heard else ()
    return None if waiting else Applied(tuple(hidden))


def _holds(replica: LiveReplica, key: str, text: str) -> bool:
    return dict(replica.items or ()).get(key) == digest(text)


def _reason(replica: LiveReplica | None, key: str) -> str | None:
    rejected = replica.rejected if replica else ()
    return next((refused.reason for refused in rejected if refused.key == key), None)


def _rejection(report: Report | None, key: str) -> Mapping[str, Any] | None:
    rejected = report["rejected"] if report else ()
    return next((rejection for rejection in rejected if rejection["key"] == key), None)
