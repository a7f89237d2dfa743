"""Checks all that the release store keeps: the chain, every row against its entry, the guards.

Finds what was done with triggers switched off, by whoever may do that. Two things it cannot find: an
end cut off cleanly from all tables (compare ``head`` with one noted elsewhere), and a history
written anew as a whole by somebody who owns the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

from retunable.config.checksum import checksum_of_bytes
from retunable.release.store.audit import entries
from retunable.release.store.chain import Broken, Head, next_head
from retunable.release.store.database import Transaction
from retunable.release.store.queries import DatabaseKind
from retunable.release.store.records import Entry

ALL: Final = 2**53 - 1
_TABLES: Final = (
    "versions",
    "deployments",
    "outcomes",
    "approvals",
    "policies",
    "observations",
    "rollouts",
    "rollout_steps",
)
_TRIGGER = re.compile(r"CREATE TRIGGER (\w+)\s+BEFORE [A-Z ]+ ON (\w+)")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was recorded: where (``audit entry 7`` …) and what."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found; ``head`` is the newest entry up to which the chain holds."""

    head: Head
    problems: tuple[Problem, ...]

    @property
    def intact(self) -> bool:
        return not self.problems


def verify(work: Transaction) -> Verification:
    """Check the whole release store; returns every problem, the chain's first break only."""
    details = _Details()
    problems: list[Problem] = []
    head = Head()
    for entry in entries(work):
        step = next_head(head, entry)
        if isinstance(step, Broken):
            return Verification(head, (Problem(f"audit entry {step.sequence}", step.reason),))
        head = step
        details.expect(entry)
    for table in _TABLES:
        problems += details.compare(table, work)
    problems += _guards(work)
    return Verification(head, tuple(problems))


@dataclass(slots=True)
class _Details:
    """What the entries say that stands in the other tables."""

    expected: dict[str, dict[int, dict[str, Any]]] = field(
        default_factory=lambda: {table: {} for table in _TABLES}
    )

    def expect(self, entry: Entry) -> None:
        if (found := _detail(entry)) is not None:
            table, row = found
            self.expected[table][entry.stamp.sequence] = row

    def compare(self, table: str, work: Transaction) -> Iterator[Problem]:
        expected = self.expected[table]
        for row in work.each(f"detail_of_{table}", **_page(table)):
            place = f"release_{table}, row {row.sequence}"
            wanted = expected.pop(row.sequence, None)
            if wanted is None:
                yield Problem(place, "no audit entry tells of it")
                continue
            for name, value in wanted.items():
                if getattr(row, name) != value:
                    yield Problem(place, f"{name} is not what the audit recorded")
            if table == "versions" and checksum_of_bytes(bytes(row.config)) != row.checksum:
                yield Problem(place, "config does not have the checksum that was recorded")
        for sequence in expected:
            yield Problem(f"release_{table}, row {sequence}", "is missing; the audit tells of it")


def _page(table: str) -> dict[str, int]:
    return {"after": 0, "at_most": ALL} if table == "versions" else {}


def _detail(entry: Entry) -> tuple[str, dict[str, Any]] | None:
    data = entry.data
    owner = {"agent": entry.agent, "environment": entry.environment}
    what = {"version": entry.version, "checksum": entry.checksum}
    match entry.action:
        case "save":
            kept = {name: data[name] for name in ("id", "parent", "source", "schema_number")}
            row = {"agent": entry.agent, "number": entry.version, "checksum": entry.checksum}
            return "versions", row | kept
        case "activate" | "promote" | "rollback" | "reset" | "override" | "canary" | "flag":
            return "deployments", {**owner, **what, "generation": data["generation"]}
        case "confirm" | "withdraw" if "deployment" in data:
            outcome = "confirmed" if entry.action == "confirm" else "withdrawn"
            return "outcomes", {"deployment": data["deployment"], "outcome": outcome}
        case "rollout":
            return "rollouts", {**owner, **what, "id": data["id"]}
        case "decide":
            return "rollout_steps", {name: data[name] for name in ("rollout", "state", "stage")}
        case "approve":
            return "approvals", {**owner, **what, "approver": entry.stamp.actor}
        case "policy":
            rules = ("revision", "require_approval", "require_evaluation")
            return "policies", owner | {name: data[name] for name in rules}
        case "observe":
            seen = ("change", "not_before_ms", "not_after_ms")
            return "observations", owner | {name: data[name] for name in seen}
        case _:
            return None


def _guards(work: Transaction) -> Iterator[Problem]:
    """Compare the triggers that stand there with those of the migrations, word for word."""
    script = _script(work.kind)
    missing = {f"{table}.{name}" for name, table in _TRIGGER.findall(script)}
    for row in work.rows("guards"):
        if row.name in missing and row.enabled and row.source in script:
            missing.discard(row.name)
    for name in sorted(missing):
        yield Problem(
            f"trigger {name}", "is missing, switched off or changed; its owner can mend it"
        )


def _script(kind: DatabaseKind) -> str:
    folder = files("retunable.release.store") / "migrations" / "versions"
    scripts = [file for file in folder.iterdir() if file.name.endswith(f".{kind}.sql")]
    return "\n".join(file.read_text(encoding="utf-8") for file in scripts)
