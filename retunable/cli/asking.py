"""``retune ask``: one run of the running agent, its steps on standard error, its answer on standard output."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from retunable.cli.agent_client import AgentAway
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.run_client import RunClient
from retunable.cli.step_lines import StepLines
from retunable.cli.target import running_target
from retunable.cli.where import Where

# The agent answers 504 at its deadline by itself; we wait a little longer for that answer.
GRACE_SECONDS: Final = 5.0
LAST_STEP_SECONDS: Final = 1.0
"""How long an answer waits for the line of its last step, which comes at the same moment."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, for whom, in which conversation, and for how long."""

    message: str
    user: str | None = None
    conversation: str | None = None
    deadline_seconds: float | None = None


def ask(where: Where, question: Question, *, output: Output) -> ExitCode:
    """Run the agent on one message.

    The run is begun without waiting and then asked for by its id, while its steps are followed
    beside: so it has a name that can be told when the wait for it is cut off.
    """
    client = RunClient(running_target(where).replicas[0].url)
    seconds = question.deadline_seconds
    until = math.inf if seconds is None else time.monotonic() + seconds
    request: dict[str, Any] = {
        "message": question.message,
        "conversation_id": question.conversation,
    }
    run_id = str(client.begin(request, user=question.user)["run_id"])
    telling = threading.Thread(target=_tell_steps, args=(client, run_id, output), daemon=True)
    try:
        if not output.as_json:
            telling.start()
        answer = _answer(client, {**request, "run_id": run_id}, question.user, until)
    except AgentAway as away:
        raise Stop(f"{away}; run {run_id} is taken, `retune explain {run_id}` later") from away
    except KeyboardInterrupt:
        output.note(f"run {run_id} goes on; `retune stop {run_id}` ends it")
        raise
    if not output.as_json:
        telling.join(LAST_STEP_SECONDS)
    output.line(str(answer["text"]))
    output.result(answer)
    return ExitCode.OK


def _tell_steps(client: RunClient, run_id: str, output: Output) -> None:
    """Say each step as it comes; nothing depends on it, so it may end early."""
    lines = StepLines()
    with contextlib.suppress(AgentAway):
        for name, data in client.steps(run_id):
            if name == "step":
                for line in lines.of(data):
                    output.note(line)


def _answer(
    client: RunClient, request: dict[str, Any], user: str | None, until: float
) -> dict[str, Any]:
    if until == math.inf:
        return dict(client.answer(request, user=user, seconds=None))
    left = max(until - time.monotonic(), 0.001)
    timed = {**request, "deadline_seconds": left}
    return dict(client.answer(timed, user=user, seconds=left + GRACE_SECONDS))
