"""``retune ask``: one run of the running agent, its answer on standard output."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from retunable.cli.agent_client import AgentAway, AgentClient
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.target import find_target
from retunable.cli.where import Where
from retunable.serve.address import running_agents

# The agent answers 504 at its deadline by itself; we wait a little longer for that answer.
GRACE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, for whom, in which conversation, and for how long."""

    message: str
    user: str | None = None
    conversation: str | None = None
    deadline_seconds: float | None = None


def ask(where: Where, question: Question, *, output: Output) -> ExitCode:
    """Run the agent on one message."""
    target = find_target(where, running_agents())
    if not target.replicas:
        raise Stop("no running agent was found in .retunable/agents of this folder; start it there")
    request = {
        "message": question.message,
        "conversation_id": question.conversation,
        "deadline_seconds": question.deadline_seconds,
    }
    deadline = question.deadline_seconds
    try:
        reply = AgentClient(target.replicas[0].url).run(
            request,
            user=question.user,
            seconds=None if deadline is None else deadline + GRACE_SECONDS,
        )
    except AgentAway as away:
        raise Stop(str(away)) from away
    if reply.status != HTTPStatus.OK:
        raise Stop(reply.detail, problem=dict(reply.body))
    output.line(str(reply.body["text"]))
    output.result(dict(reply.body))
    return ExitCode.OK
