"""The secret under which users are hashed: read in the background, never in anybody's way."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from retunable import DurableAgent
from retunable.agent import users as module
from retunable.agent.models.secrets import Env
from retunable.agent.users import Users
from retunable.config.targeting import ListKey
from retunable.errors import NotReady, UserUnusable

VARIABLE = "THE_USER_KEY_OF_A_TEST"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
TOO_LONG = "é" * 129


def told(users: Users, user: str | None = "zoe") -> str | None:
    return users.pseudonym(user, rollout_id="r-1", started_at=NOW)


async def test_a_secret_that_is_there_is_read_before_the_first_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, " the secret\n")
    users = Users(Env(VARIABLE))
    async with AsyncExitStack() as parts:
        await users.open(parts)
        assert users.list_key == ListKey.of(b"the secret")
        assert told(users) is not None


async def test_a_secret_that_comes_later_is_read_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FIRST_READ_SECONDS", 0.01)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    monkeypatch.delenv(VARIABLE, raising=False)
    users = Users(Env(VARIABLE))
    async with AsyncExitStack() as parts:
        with caplog.at_level(logging.WARNING, "retunable"):
            await users.open(parts)
        assert (users.list_key, told(users)) == (None, None)
        assert VARIABLE in caplog.text
        monkeypatch.setenv(VARIABLE, "the secret")
        (reading,) = [t for t in asyncio.all_tasks() if t.get_name() == "retunable user key"]
        await asyncio.wait_for(reading, 20)
    assert told(users) is not None


async def test_nobody_is_hashed_who_is_nobody_or_cannot_be_split() -> None:
    users = Users()
    users.take(b"the secret")
    assert [told(users, user) for user in (None, "", TOO_LONG, "\ud800")] == [None] * 4


@pytest.mark.parametrize("user", ["", TOO_LONG, "x" * 257, "\ud800"])
async def test_a_user_id_that_cannot_be_used_is_refused_before_anything_else(user: str) -> None:
    agent = DurableAgent("a", model="m", provider="offline")
    with pytest.raises(UserUnusable, match="1 to 256 bytes"):
        await agent.run("?", user_id=user)
    with pytest.raises(UserUnusable):
        await agent.begin("?", user_id=user)
    with pytest.raises(UserUnusable):
        await agent.feedback("r", "up", user_id=user)
    with pytest.raises(UserUnusable):
        agent.resolve(user_id=user)


async def test_a_user_id_of_256_bytes_is_taken() -> None:
    agent = DurableAgent("a", model="m", provider="offline")
    with pytest.raises(NotReady):
        await agent.run("?", user_id="é" * 128)
