"""Asks several running agents at once; whoever has not answered in time is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

from retunable.cli.agent_client import AgentAway
from retunable.serve.address import AgentRecord

_Answer = TypeVar("_Answer")


def ask_all(
    records: Sequence[AgentRecord], ask: Callable[[AgentRecord], _Answer], *, seconds: float
) -> dict[AgentRecord, _Answer | AgentAway]:
    """Return each agent's answer in the order of the records, or why there is none.

    A client's own time limit is one for each part of an answer: an agent that sends a byte now and
    then would hold it up for ever. The threads are daemons, so that none of them does.
    """
    heard: SimpleQueue[tuple[AgentRecord, _Answer | AgentAway]] = SimpleQueue()

    def put(record: AgentRecord) -> None:
        try:
            heard.put((record, ask(record)))
        except AgentAway as away:
            heard.put((record, away))

    deadline = time.monotonic() + seconds
    for record in records:
        threading.Thread(target=put, args=(record,), daemon=True).start()
    answers: dict[AgentRecord, _Answer | AgentAway] = {
        record: AgentAway(f"the agent at {record.url} did not answer within {seconds:g} s")
        for record in records
    }
    for _ in records:
        try:
            record, answer = heard.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            break
        answers[record] = answer
    return answers
