"""Asks the running program whether it could take a config, or a document that is to be published.

Only the program knows its limits, tools and guardrails. All of its processes that are known are asked
at once, and one that does not answer in time holds nobody up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal, assert_never

from retunable.cli.agent_client import REPORT_SECONDS, AgentAway, AgentClient
from retunable.cli.roll_call import ask_all
from retunable.release.publishing.outcomes import ProgramRefuses
from retunable.serve.address import AgentRecord

NOBODY: Final = "no running process of it was found in .retunable/agents of this folder"
BRAKE_SECONDS: Final = 1.0

Asks = Literal["all", "any"]
"""Who must take what is published: all who answer, or any of them. The latter is for a rollback,
which is a brake: it is of use wherever one takes it, and waits for nobody."""
What = Literal["config", "document"]


@dataclass(frozen=True, slots=True)
class ProgramFault:
    """What one process cannot take, the fields that it is about, and the flag that asks for it."""

    pid: int
    fields: tuple[str, ...]
    reason: str
    flag: str | None = None

    @property
    def field(self) -> str | None:
        """The field, where it is about one alone."""
        return self.fields[0] if len(self.fields) == 1 else None

    def __str__(self) -> str:
        return f"{self.reason}, says the running program (pid {self.pid})"


@dataclass(frozen=True, slots=True)
class ProgramCheck:
    """Who said that they can take it, by process id; the first fault of each that cannot.

    ``unchecked`` says why nobody was asked, or who gave no answer.
    """

    pids: tuple[int, ...]
    unchecked: str | None
    faults: tuple[ProgramFault, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What a person is told of it: what went on without a word of the program, or against it."""
        refused = tuple(f"not taken by all: {fault}" for fault in self.faults)
        if self.unchecked is None or self.pids:
            return refused
        return (*refused, f"not checked against what the program allows: {self.unchecked}")


SAID_UNCHECKED: Final = ProgramCheck((), "--unchecked was said")


@dataclass(slots=True)
class RunningProgram:
    """The program of an agent, as its running processes of this folder."""

    records: Sequence[AgentRecord]
    asks: Asks
    unchecked: bool
    check: ProgramCheck | None = field(default=None, init=False)
    """What it said last."""

    @property
    def patience_seconds(self) -> float:
        """How long a process may keep what is published waiting for its answer."""
        match self.asks:
            case "all":
                return REPORT_SECONDS
            case "any":
                return BRAKE_SECONDS
            case _:
                assert_never(self.asks)

    def refusal(self, document: Mapping[str, Any]) -> ProgramRefuses | None:
        """Ask about a document; None where it is to be published for all that was said."""
        check = self._ask(document)
        self.check = check
        if not check.faults or (self.asks == "any" and check.pids):
            return None
        fault = check.faults[0]
        return ProgramRefuses(str(fault), field=fault.field, flag=fault.flag)

    def _ask(self, document: Mapping[str, Any]) -> ProgramCheck:
        if self.unchecked:
            return SAID_UNCHECKED
        return ask_program("document", document, self.records, seconds=self.patience_seconds)


def ask_program(
    what: What,
    value: Mapping[str, Any],
    records: Sequence[AgentRecord],
    *,
    seconds: float = REPORT_SECONDS,
) -> ProgramCheck:
    """Ask every process whether it could take a complete config, or a document."""
    answers = ask_all(records, lambda record: _fault(what, value, record, seconds), seconds=seconds)
    said = [
        (record, answer) for record, answer in answers.items() if not isinstance(answer, AgentAway)
    ]
    away = [str(answer) for answer in answers.values() if isinstance(answer, AgentAway)]
    return ProgramCheck(
        pids=tuple(record.pid for record, fault in said if fault is None),
        unchecked="; ".join(away) or (None if said else NOBODY),
        faults=tuple(fault for _, fault in said if fault is not None),
    )


def _fault(
    what: What, value: Mapping[str, Any], record: AgentRecord, seconds: float
) -> ProgramFault | None:
    client = AgentClient(record.url)
    reply = client.ask("POST", f"/agent/{what}/check", value, seconds=seconds)
    if reply.status != HTTPStatus.OK:
        raise AgentAway(f"the agent at {record.url} does not check it: {reply.detail}")
    match reply.body:
        case {"faults": []}:
            return None
        case {
            "faults": [
                {"fields": [*fields], "reason": str(reason), "flag": str() | None as flag},
                *_,
            ]
        }:
            return ProgramFault(record.pid, tuple(fields), reason, flag)
        case _:
            raise AgentAway(f"what listens at {record.url} is no agent")
