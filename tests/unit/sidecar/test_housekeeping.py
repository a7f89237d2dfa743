"""A sweep deletes what nobody can read and gives the room back to the disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from retunable.sidecar import messages, state
from retunable.sidecar.cloud_event import CloudEvent
from retunable.sidecar.database import Database
from retunable.sidecar.housekeeping import Housekeeping
from retunable.sidecar.messages import KEPT_SECONDS, Topic, keep_age, publish
from retunable.sidecar.state import EXPIRED_ROWS, Save, apply_each

LARGE = b"x" * 2_000


@pytest.fixture
def states(tmp_path: Path) -> Database:
    return Database.open(tmp_path / "state.db", [state.SCHEMA])


@pytest.fixture
def mail(tmp_path: Path) -> Database:
    return Database.open(tmp_path / "messages.db", [messages.SCHEMA])


async def pages(database: Database) -> int:
    return int(await database.read(lambda c: c.execute("PRAGMA page_count").fetchone()[0]))


async def test_a_sweep_makes_the_files_small_again(states: Database, mail: Database) -> None:
    saves = [Save(key=str(n), value=LARGE, expires_at=1.0) for n in range(EXPIRED_ROWS + 1)]
    await states.write(lambda c: apply_each(c, "s", saves, now=0.0))
    event = CloudEvent({}, LARGE)
    await mail.write(lambda c: publish(c, Topic("pubsub", "t"), [event] * 500, now=0.0))
    before = await pages(states), await pages(mail)
    sweep = Housekeeping(state=states, messages=mail, clock=lambda: KEPT_SECONDS + 1.0)
    for _ in range(3):
        await sweep.sweep()
    after = await pages(states), await pages(mail)
    assert all(now < was / 5 for now, was in zip(after, before, strict=True))


async def test_a_sweep_leaves_what_can_still_be_read(states: Database, mail: Database) -> None:
    saves = [Save(key="kept", value=b"1"), Save(key="later", value=b"1", expires_at=10.0)]
    await states.write(lambda c: apply_each(c, "s", saves, now=0.0))
    await Housekeeping(state=states, messages=mail, clock=lambda: 5.0).sweep()
    assert await states.read(lambda c: c.execute("SELECT count(*) FROM state").fetchone()) == (2,)


@dataclass
class Clocks:
    """A wall clock that people set, and one that nobody sets."""

    wall: float = 1_000_000.0
    steady: float = 50.0

    def go_on(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


async def kept(mail: Database) -> int:
    return int(await mail.read(lambda c: c.execute("SELECT count(*) FROM messages").fetchone()[0]))


@pytest.fixture
async def swept(states: Database, mail: Database) -> tuple[Housekeeping, Clocks]:
    """A housekeeping that has seen the clock, with one message that was published after it did."""
    clocks = Clocks()
    housekeeping = Housekeeping(
        state=states,
        messages=mail,
        clock=lambda: clocks.wall,
        steady_clock=lambda: clocks.steady,
    )
    await housekeeping.sweep()
    clocks.go_on(30.0)
    event = CloudEvent({}, b"1")
    await mail.write(lambda c: publish(c, Topic("pubsub", "t"), [event], now=clocks.wall))
    clocks.go_on(10.0)
    return housekeeping, clocks


async def test_a_message_is_kept_when_the_clock_is_put_forward_by_years(
    swept: tuple[Housekeeping, Clocks], mail: Database
) -> None:
    housekeeping, clocks = swept
    clocks.wall += 20 * 365 * 86_400.0
    await housekeeping.sweep()
    assert await kept(mail) == 1
    clocks.go_on(KEPT_SECONDS - 60.0)
    await housekeeping.sweep()
    assert await kept(mail) == 1


async def test_after_a_jump_a_message_grows_old_as_before(
    swept: tuple[Housekeeping, Clocks], mail: Database
) -> None:
    housekeeping, clocks = swept
    clocks.wall += 20 * 365 * 86_400.0
    await housekeeping.sweep()
    clocks.go_on(KEPT_SECONDS)
    await housekeeping.sweep()
    assert await kept(mail) == 0


async def test_a_second_sidecar_that_sees_the_jump_makes_no_message_younger_than_now(
    swept: tuple[Housekeeping, Clocks], mail: Database
) -> None:
    housekeeping, clocks = swept
    jump = 20 * 365 * 86_400.0
    clocks.wall += jump
    await housekeeping.sweep()
    await mail.write(lambda c: keep_age(c, put_forward_seconds=jump, now=clocks.wall))
    clocks.go_on(KEPT_SECONDS)
    await housekeeping.sweep()
    assert await kept(mail) == 0


async def test_a_message_is_kept_when_the_clock_is_put_back(
    swept: tuple[Housekeeping, Clocks], mail: Database
) -> None:
    housekeeping, clocks = swept
    clocks.wall = 0.0
    await housekeeping.sweep()
    assert await kept(mail) == 1
