"""Recorded histories of rollouts replay: a release that breaks those under way is found here."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import dapr.ext.workflow._durabletask.internal.protos as pb
import pytest
from dapr.ext.workflow._durabletask.worker import _Registry

from retunable.agent.loop.workflow import Turns
from retunable.control.rollouts.course import ACT, JUDGE, WORKFLOW, WORKFLOW_VERSION
from retunable.control.rollouts.workflow import follow
from tests.replay.replaying import (
    actions_of,
    did_in,
    events_of,
    given_in,
    name_of,
    recorded,
    turns_of,
)

HISTORIES = recorded("rollouts")


def turns(body: Any = follow) -> Turns:
    registry: _Registry = _Registry()  # type: ignore[no-untyped-call]
    registry.add_named_orchestrator(WORKFLOW, body, version_name=WORKFLOW_VERSION, is_latest=True)
    return Turns(registry)


@pytest.mark.parametrize("path", HISTORIES, ids=name_of)
def test_each_turn_of_a_recorded_rollout_is_taken_the_same_today(path: Path) -> None:
    old: list[pb.HistoryEvent] = []
    for turn in turns_of(events_of(path)):
        assert actions_of(turns(), old, given_in(turn)) == did_in(turn)
        old += turn


@pytest.mark.parametrize("path", HISTORIES, ids=name_of)
def test_a_body_that_judges_before_it_publishes_does_not_replay(path: Path) -> None:
    def broken(ctx: Any, data: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        while True:
            yield ctx.call_activity(JUDGE, input=dict(data))

    *before, last = turns_of(events_of(path))
    ((status, failure),) = actions_of(
        turns(broken), [event for turn in before for event in turn], given_in(last)
    )
    assert status == "ORCHESTRATION_STATUS_FAILED"
    assert "NonDeterminism" in str(failure)


def test_there_is_a_history_of_each_kind() -> None:
    moves = {
        path.stem: [event.taskScheduled.name for event in events_of(path)].count(ACT)
        for path in HISTORIES
    }
    assert moves["promoted"] == 2
    assert moves["rolled-back"] >= 1
    assert moves["waiting"] == 0
