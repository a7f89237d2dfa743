"""Timers by a clock that jumps, and what is forgotten when."""

from __future__ import annotations

import asyncio

import pytest

from retunable.sidecar.workflow import tables
from retunable.sidecar.workflow.instance import TaskToken, TurnToken
from retunable.sidecar.workflow.upkeep import FORGOTTEN_AT_ONCE, Alarm, Retention, forget_some
from tests.unit.sidecar.workflow.scenes import SECOND, Scene, call, complete, timer

HOUR = 3_600 * SECOND
DAY = 24 * HOUR


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


async def test_the_alarm_rings_when_a_timer_is_over() -> None:
    clock = Clock()
    alarm = await _looked(clock)
    alarm.set_due(clock.now)
    assert await _rings(alarm) is False


async def test_the_alarm_waits_while_none_is_over() -> None:
    clock = Clock()
    alarm = await _looked(clock)
    alarm.set_due(clock.now + HOUR)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await alarm.wait()


async def test_a_timer_that_is_added_while_the_alarm_waits_is_not_slept_over() -> None:
    clock = Clock()
    alarm = await _looked(clock)
    waiting = asyncio.create_task(alarm.wait())
    await asyncio.sleep(0)
    alarm.look_again()
    async with asyncio.timeout(5):
        assert await waiting is False


async def test_a_timer_added_while_others_are_delivered_is_not_forgotten() -> None:
    clock = Clock()
    alarm = await _looked(clock)
    alarm.look_again()
    await _rings(alarm)
    alarm.look_again()
    alarm.set_due(None)
    assert await _rings(alarm) is False


async def test_a_clock_that_is_put_forward_is_noticed_within_a_second() -> None:
    clock = Clock()
    alarm = await _looked(clock)
    alarm.set_due(clock.now + HOUR)
    waiting = asyncio.create_task(alarm.wait())
    await asyncio.sleep(0)
    clock.now += 2 * HOUR
    async with asyncio.timeout(10):
        assert await waiting is False


async def test_a_clock_that_is_put_back_is_told() -> None:
    clock = Clock()
    alarm = await _looked(clock)
    clock.now -= HOUR
    assert await _rings(alarm) is True


def test_no_timer_waits_longer_than_it_was_set_for_when_the_clock_is_put_back() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", timer(1, scene.now + 5 * SECOND))
    scene.now -= DAY
    tables.bring_timers_nearer(scene.connection, now=scene.now)
    assert scene.fire_timers()[1] == scene.now + 5 * SECOND


def test_a_small_step_back_moves_no_timer() -> None:
    scene = Scene()
    scene.start("w")
    due = scene.now + HOUR
    scene.answer("w", timer(1, due))
    scene.now += 10 * SECOND
    tables.bring_timers_nearer(scene.connection, now=scene.now)
    assert scene.fire_timers()[1] == due


def test_ended_instances_are_forgotten_after_their_days() -> None:
    scene = Scene()
    _end(scene, "old")
    scene.now += DAY
    _end(scene, "young")
    scene.now += DAY // 2
    assert forget_some(scene.connection, Retention(days=1.0), now=scene.now) == 1
    assert [name for _, name in tables.ids(scene.connection, after=0, limit=9)] == ["young"]


def test_the_oldest_ended_instances_are_forgotten_where_they_are_too_many() -> None:
    scene = Scene()
    for name in ("first", "second", "third"):
        scene.now += SECOND
        _end(scene, name)
    scene.begun("goes on")
    forget_some(scene.connection, Retention(instances=2), now=scene.now)
    names = [name for _, name in tables.ids(scene.connection, after=0, limit=9)]
    assert names == ["second", "third", "goes on"]


def test_only_a_few_are_forgotten_at_once() -> None:
    scene = Scene()
    for number in range(FORGOTTEN_AT_ONCE + 5):
        _end(scene, f"w{number}")
    scene.now += 2 * DAY
    keep_none = Retention(days=1.0)
    assert forget_some(scene.connection, keep_none, now=scene.now) == FORGOTTEN_AT_ONCE
    assert forget_some(scene.connection, keep_none, now=scene.now) == 5
    assert forget_some(scene.connection, keep_none, now=scene.now) == 0


def test_what_goes_on_is_kept_however_old() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", call(1))
    scene.now += 1_000 * DAY
    assert forget_some(scene.connection, Retention(), now=scene.now) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT key FROM workflow_instances WHERE finished_at < 1 ORDER BY finished_at LIMIT 1",
        "SELECT key FROM workflow_instances WHERE finished_at IS NOT NULL "
        "ORDER BY finished_at DESC LIMIT 1 OFFSET 1",
        "SELECT key FROM workflow_instances WHERE id = 'w'",
        "SELECT key FROM workflow_instances WHERE parent_key = 1",
        "SELECT key FROM workflow_instances WHERE status = 8",
        "SELECT event FROM workflow_history WHERE place BETWEEN 1 AND 2 ORDER BY place",
        "SELECT number FROM workflow_inbox WHERE key = 1 AND number <= 2 ORDER BY number",
        "SELECT place FROM workflow_timers WHERE due_at <= 1 ORDER BY due_at, place LIMIT 1",
        "SELECT min(due_at) FROM workflow_timers",
    ],
)
def test_no_statement_of_every_day_reads_a_whole_table(statement: str) -> None:
    plan = Scene().connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    assert all("SEARCH" in row[3] or "USING" in row[3] for row in plan), plan


@pytest.mark.parametrize(
    "text",
    ["", "w.1.2.3.4", "a.1.2.3", "w.1.2.3.4.5.6", "w.1.2.3.x.5", "a.1.2", "w.1.2.3.4.9" * 9, "é"],
)
def test_a_token_that_is_none_is_no_token(text: str) -> None:
    assert TurnToken.parse(text) is None


def test_tokens_come_back_as_they_went() -> None:
    turn, task = TurnToken(1, 2, 3, 4, 5), TaskToken(6, 7, 8)
    assert TurnToken.parse(str(turn)) == turn
    assert TaskToken.parse(str(task)) == task
    assert TaskToken.parse(str(turn)) is None


async def test_after_a_start_the_clock_may_have_been_put_back() -> None:
    assert await _rings(Alarm(Clock())) is True


async def _looked(clock: Clock) -> Alarm:
    """Return an alarm that has looked at the clock before."""
    alarm = Alarm(clock)
    await _rings(alarm)
    return alarm


async def _rings(alarm: Alarm) -> bool:
    async with asyncio.timeout(5):
        return await alarm.wait()


def _end(scene: Scene, name: str) -> None:
    scene.start(name)
    scene.answer(name, complete())
