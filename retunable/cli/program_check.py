"""Asks the running program whether it could run on a config: its limits, tools and guardrails.

Only the program knows them. Which replicas are asked is decided by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from retunable.cli.agent_client import REPORT_SECONDS, AgentAway, AgentClient
from retunable.cli.exits import ExitCode, Stop
from retunable.serve.address import AgentRecord

NOBODY = "no running process of it was found in .retunable/agents of this folder"


@dataclass(frozen=True, slots=True)
class ProgramCheck:
    """Who said that they can run on it, by process id; where nobody did, why not."""

    pids: tuple[int, ...]
    unchecked: str | None


def check_with_program(config: Mapping[str, Any], records: Sequence[AgentRecord]) -> ProgramCheck:
    """Ask every process; end the command with the first fault that one of them names."""
    agreed: list[int] = []
    why = NOBODY
    for record in records:
        try:
            faults = _faults(config, record)
        except AgentAway as away:
            why = str(away)
            continue
        for fault in faults:
            fields = list(fault["fields"])
            raise Stop(
                f"nothing was saved: {' and '.join(fields)} {fault['reason']}, says the running "
                f"program (pid {record.pid}); if the next one is to take it: --unchecked",
                ExitCode.USAGE,
                field=fields[0] if len(fields) == 1 else None,
            )
        agreed.append(record.pid)
    return ProgramCheck(tuple(agreed), None if agreed else why)


def _faults(config: Mapping[str, Any], record: AgentRecord) -> Sequence[Mapping[str, Any]]:
    client = AgentClient(record.url)
    reply = client.ask("POST", "/agent/config/check", config, seconds=REPORT_SECONDS)
    if reply.status != HTTPStatus.OK:
        raise AgentAway(f"the agent at {record.url} does not check it: {reply.detail}")
    faults: Sequence[Mapping[str, Any]] = reply.body["faults"]
    return faults
