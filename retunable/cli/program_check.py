"""Asks the running program whether it could run on a config: its limits, tools and guardrails.

Only the program knows them. Which replicas are asked is decided by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from retunable.cli.agent_client import REPORT_SECONDS, AgentAway, AgentClient
from retunable.serve.address import AgentRecord

NOBODY = "no running process of it was found in .retunable/agents of this folder"


@dataclass(frozen=True, slots=True)
class ProgramCheck:
    """Who said that they can run on it, by process id; where nobody did, why not."""

    pids: tuple[int, ...]
    unchecked: str | None

    @property
    def lines(self) -> tuple[str, ...]:
        """What a person is told of it: that nobody could be asked."""
        if self.unchecked is None:
            return ()
        return (f"not checked against what the program allows: {self.unchecked}",)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A complete config to be run on, and the flag that made it of a version, if one did."""

    config: Mapping[str, Any]
    flag: str | None = None


@dataclass(frozen=True, slots=True)
class ProgramFault:
    """What keeps one process from running on a candidate, and the fields that this is about."""

    fields: tuple[str, ...]
    reason: str
    pid: int
    flag: str | None = None

    @property
    def field(self) -> str | None:
        """The field, where it is about one alone."""
        return self.fields[0] if len(self.fields) == 1 else None

    def __str__(self) -> str:
        flag = "" if self.flag is None else f"flag {self.flag}: "
        what = f"{' and '.join(self.fields)} {self.reason}"
        return f"{flag}{what}, says the running program (pid {self.pid})"


def ask_program(
    candidates: Sequence[Candidate], records: Sequence[AgentRecord]
) -> ProgramCheck | ProgramFault:
    """Ask every process about every candidate; the first fault that one of them names ends it."""
    agreed: list[int] = []
    why = NOBODY
    for record in records:
        try:
            fault = _first_fault(candidates, record)
        except AgentAway as away:
            why = str(away)
            continue
        if fault is not None:
            return fault
        agreed.append(record.pid)
    return ProgramCheck(tuple(agreed), None if agreed else why)


def _first_fault(candidates: Sequence[Candidate], record: AgentRecord) -> ProgramFault | None:
    for candidate in candidates:
        for fault in _faults(candidate.config, record):
            fields = tuple(fault["fields"])
            return ProgramFault(fields, fault["reason"], record.pid, candidate.flag)
    return None


def _faults(config: Mapping[str, Any], record: AgentRecord) -> Sequence[Mapping[str, Any]]:
    client = AgentClient(record.url)
    reply = client.ask("POST", "/agent/config/check", config, seconds=REPORT_SECONDS)
    if reply.status != HTTPStatus.OK:
        raise AgentAway(f"the agent at {record.url} does not check it: {reply.detail}")
    faults: Sequence[Mapping[str, Any]] = reply.body["faults"]
    return faults
