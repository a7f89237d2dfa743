"""Waits until every running replica has said what it makes of a write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from retunable.cli.agent_client import REPORT_SECONDS, AgentAway, AgentClient, Report
from retunable.cli.exits import ExitCode
from retunable.cli.expectation import Applied, Expectation, Rejected, verdict
from retunable.cli.roll_call import ask_all
from retunable.serve.address import AgentRecord

FIRST_PAUSE_SECONDS: Final = 0.001
LAST_PAUSE_SECONDS: Final = 0.1
NOBODY: Final = "no running agent was found in .retunable/agents of this folder"
NOT_HEARD: Final = "no control process tells of replicas, so the agents of this folder were asked"


@dataclass(frozen=True, slots=True)
class Replica:
    """One running process of the agent, and its report before the write (None: no answer)."""

    record: AgentRecord
    before: Report | None
    why_silent: str = ""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What one replica said; ``outcome`` None means nothing, and ``why`` says why not."""

    record: AgentRecord
    outcome: Applied | Rejected | None
    report: Report | None
    milliseconds: float
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form of the command's result."""
        said, reason = self._said()
        return {
            "agent": self.record.agent,
            "pid": self.record.pid,
            "outcome": said,
            "reason": reason,
            "milliseconds": round(self.milliseconds, 1),
            "revision": self.report["revision"] if self.report else None,
        }

    def _said(self) -> tuple[str, str | None]:
        match self.outcome:
            case Applied():
                return "applied", None
            case Rejected(reason):
                return "rejected", reason
            case None:
                return "not_confirmed", self.why


class Answer(Protocol):
    """What one replica said, however it was heard; ``outcome`` None means nothing."""

    @property
    def outcome(self) -> Applied | Rejected | None: ...

    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of the waiting: lines for people, the JSON form, and how the command ends."""

    lines: tuple[str, ...]
    replicas: tuple[dict[str, Any], ...]
    code: ExitCode

    @classmethod
    def of(cls, answers: Sequence[Answer], lines: Sequence[str]) -> Self:
        """Sum up what all replicas said that were waited for; lines say it to people."""
        code = _exit_code([answer.outcome for answer in answers])
        return cls(tuple(lines), tuple(answer.to_json() for answer in answers), code)


def replicas_of(
    records: tuple[AgentRecord, ...], *, seconds: float = REPORT_SECONDS
) -> tuple[Replica, ...]:
    """Ask every running process how it is before anything is written, all at once."""
    reports = ask_all(records, lambda record: AgentClient(record.url).report(), seconds=seconds)
    return tuple(
        Replica(record, None, str(report))
        if isinstance(report, AgentAway)
        else Replica(record, report)
        for record, report in reports.items()
    )


def confirm(
    replicas: tuple[Replica, ...],
    expectations: tuple[Expectation, ...],
    *,
    written_at: float,
    timeout_seconds: float,
) -> tuple[Confirmation, ...]:
    """Ask until all replicas have answered; ``written_at`` is a time of the monotonic clock."""
    deadline = written_at + timeout_seconds
    return tuple(_confirmation(replica, expectations, written_at, deadline) for replica in replicas)


def _confirmation(
    replica: Replica, expectations: tuple[Expectation, ...], written_at: float, deadline: float
) -> Confirmation:
    record, client = replica.record, AgentClient(replica.record.url)
    pause, report, why = FIRST_PAUSE_SECONDS, None, replica.why_silent
    while True:
        try:
            report = client.report()
        except AgentAway as away:
            report, why = None, str(away)
        since = time.monotonic() - written_at
        if report is not None:
            outcome = verdict(
                expectations, before=replica.before, now=report, seconds_since_write=since
            )
            if outcome is not None:
                return Confirmation(record, outcome, report, since * 1000)
            why = _not_yet(report)
        if time.monotonic() + pause > deadline:
            return Confirmation(record, None, report, since * 1000, why)
        time.sleep(pause)
        pause = min(pause * 1.5, LAST_PAUSE_SECONDS)


def _not_yet(report: Report) -> str:
    reason = f" ({report['reason']}: {report['detail']})" if report["reason"] else ""
    age = report["age_seconds"]
    read = "it never read the store" if age is None else f"it last read the store {age:.1f} s ago"
    return (
        f"the agent is {report['status']}{reason}, {read}, and has not taken it; does it watch the "
        "store that was written? `retune doctor` looks"
    )


def _exit_code(outcomes: Sequence[Applied | Rejected | None]) -> ExitCode:
    if any(isinstance(outcome, Rejected) for outcome in outcomes):
        return ExitCode.REJECTED
    if not outcomes or None in outcomes:
        return ExitCode.NOT_CONFIRMED
    return ExitCode.OK
