"""A flag that has expired is said once, and shows."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from retunable.agent.expired_flags import ExpiredFlags
from retunable.config.agent_config import AgentConfig
from retunable.config.flags import Flag
from retunable.config.snapshot import Snapshot

SNAPSHOT = Snapshot(agent="a", environment="default", config=AgentConfig())


def snapshot(*flags: Flag) -> Snapshot:
    return replace(SNAPSHOT, flags=flags)


class Watched:
    """Flags watched by a clock that a test sets."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.told = asyncio.Event()
        self.flags = ExpiredFlags(on_expiry=self.told.set, clock=lambda: self.now)


async def test_a_flag_that_had_expired_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(now=100)
    with caplog.at_level(logging.WARNING, "retunable"):
        watched.flags.watch(snapshot(Flag(name="beta", expires_at=100)))
        watched.flags.watch(snapshot(Flag(name="beta", expires_at=100)))
    assert caplog.text.count("flag beta expired at 1970-01-01T00:01:40+00:00") == 1
    assert watched.flags.names == ("beta",)
    assert watched.told.is_set()


async def test_a_flag_that_expires_later_is_said_then(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(now=100)
    watched.flags.watch(snapshot(Flag(name="beta", expires_at=100.01)))
    assert watched.flags.names == ()
    watched.now = 101
    with caplog.at_level(logging.WARNING, "retunable"):
        await asyncio.wait_for(watched.told.wait(), 20)
    watched.flags.close()
    assert "flag beta expired" in caplog.text


async def test_a_flag_that_was_off_anyway_is_not_said() -> None:
    watched = Watched(now=100)
    watched.flags.watch(snapshot(Flag(name="beta", expires_at=1, enabled=False)))
    assert watched.flags.names == ()
    assert not watched.told.is_set()


async def test_an_end_that_is_put_off_and_passes_again_is_said_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched = Watched(now=100)
    with caplog.at_level(logging.WARNING, "retunable"):
        watched.flags.watch(snapshot(Flag(name="beta", expires_at=50)))
        watched.flags.watch(snapshot(Flag(name="beta", expires_at=60)))
    assert caplog.text.count("flag beta expired") == 2
