"""Whatever is sent late, twice or in any order: every step is in the history once, and it ends."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from retunable.sidecar.workflow import events, tables
from retunable.sidecar.workflow.changes import Changes
from retunable.sidecar.workflow.instance import Status, TaskToken, TurnToken
from retunable.sidecar.workflow.protos import pb
from retunable.sidecar.workflow.turns import Turn
from tests.unit.sidecar.workflow.scenes import SECOND, Scene, again, call, complete, timer

STAGES = 4
AGAIN_AFTER = 2


class Deliveries(RuleBasedStateMachine):
    """One workflow of a few stages, with a worker that answers when and as often as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.scene.start("w")
        self.turns: list[tuple[TurnToken, Turn]] = []
        self.tasks: list[TaskToken] = []
        self.raised = 0
        self.used = 0
        self.seconds_back = 0

    @rule()
    def take_a_turn(self) -> None:
        turn = self.scene.turn("w")
        if turn is not None:
            self.turns.append((turn.token(self.scene.now), turn))

    @precondition(lambda self: self.turns)
    @rule(data=st.data())
    def answer_any_turn(self, data: st.DataObject) -> None:
        self._answer(*data.draw(st.sampled_from(self.turns)))

    @precondition(lambda self: self.tasks)
    @rule(data=st.data())
    def send_any_result(self, data: st.DataObject) -> None:
        self.scene.result(data.draw(st.sampled_from(self.tasks)))

    @rule()
    def raise_an_event(self) -> None:
        running = not self.scene.status("w").finished
        assert isinstance(self.scene.raise_event("w"), Changes)
        self.raised += running

    @rule(seconds=st.integers(min_value=-5, max_value=5))
    def let_the_clock_go(self, seconds: int) -> None:
        self.scene.now += seconds * SECOND
        if seconds < 0:
            self.seconds_back -= seconds
            tables.bring_timers_nearer(self.scene.connection, now=self.scene.now)
        self.scene.fire_timers()

    @invariant()
    def every_step_is_resolved_once(self) -> None:
        history = self._history()
        assert _most([e.taskCompleted.taskScheduledId for e in _of(history, "taskCompleted")]) <= 1
        assert _most([e.timerFired.timerId for e in _of(history, "timerFired")]) <= 1
        assert len(history) == self.scene.instance("w").length

    @invariant()
    def no_event_is_lost_or_doubled(self) -> None:
        if self.scene.status("w").finished:
            return
        key = self.scene.instance("w").key
        waiting = [events.read(one) for _, one in tables.inbox(self.scene.connection, key)]
        known = len(_of(self._history(), "eventRaised")) + len(_of(waiting, "eventRaised"))
        assert known + self.used == self.raised

    def teardown(self) -> None:
        """Everything that was begun ends, once its worker answers."""
        # A timer begins at the latest moment that the history has seen, before the clock went back.
        for _ in range(10 * STAGES + self.seconds_back):
            if self.scene.status("w").finished:
                break
            self.scene.now += SECOND
            self.scene.fire_timers()
            for task in self.tasks:
                self.scene.result(task)
            turn = self.scene.turn("w")
            if turn is not None:
                self._answer(turn.token(self.scene.now), turn)
        assert self.scene.status("w") is Status.COMPLETED

    def _answer(self, token: TurnToken, turn: Turn) -> None:
        changes = self.scene.answer_to(token, *_body(turn))
        if changes is None:
            return
        self.tasks += [task.token for task in changes.tasks]
        if self.scene.instance("w").generation > token.generation:
            seen = [events.read(one) for one in (*turn.past, *turn.new)]
            self.used += len(_of(seen, "eventRaised"))

    def _history(self) -> list[pb.HistoryEvent]:
        key = self.scene.instance("w").key
        return [events.read(one) for one in tables.history(self.scene.connection, key)]


def _body(turn: Turn) -> list[pb.WorkflowAction]:
    """Decide as a workflow does, by its history alone: a stage is two activities and a timer."""
    seen = [events.read(one) for one in (*turn.past, *turn.new)]
    start = next(event for event in seen if event.HasField("executionStarted"))
    scheduled = len(_of(seen, "taskScheduled")) + len(_of(seen, "timerCreated"))
    resolved = len(_of(seen, "taskCompleted")) + len(_of(seen, "timerFired"))
    if resolved < scheduled:
        return []
    stage = scheduled // 3
    first_history = not start.executionStarted.HasField("input")
    if first_history and stage == AGAIN_AFTER:
        return [again()]
    if not first_history and stage == STAGES - AGAIN_AFTER:
        return [complete(scheduled + 1)]
    first = scheduled + 1
    return [call(first), call(first + 1), timer(first + 2, _began(seen) + SECOND)]


def _began(seen: list[pb.HistoryEvent]) -> int:
    return max(events.nanoseconds(event.timestamp) for event in seen)


def _of(history: list[pb.HistoryEvent], kind: str) -> list[pb.HistoryEvent]:
    return [event for event in history if event.HasField(kind)]  # type: ignore[arg-type]


def _most(numbers: list[int]) -> int:
    return max(Counter(numbers).values(), default=0)


Deliveries.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestDeliveries = Deliveries.TestCase
