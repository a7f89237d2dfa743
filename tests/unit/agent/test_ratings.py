"""Ratings of runs: one a user, the last one counts, and the same again tells nothing new."""

from __future__ import annotations

import asyncio

import pytest

from retunable.agent.runs.book import RunBook
from retunable.agent.runs.documents import RunRequest
from retunable.agent.runs.ratings import MOST_RATERS, Ratings
from retunable.agent.runs.telling import Teller, Telling
from retunable.agent.state.keys import StateKeys
from retunable.agent.users import Users
from retunable.errors import RunForgotten, RunUnknown
from retunable.events.event import Event, Feedback
from retunable.testing.fake_state import FakeState

KEYS = StateKeys("helper", "default")
TELLER = Teller(agent="helper", environment="default", replica="here:1")


class Rated:
    """One run "r", and what was told of its ratings."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.state = FakeState()
        self.book = RunBook(self.state, KEYS)
        telling = Telling(TELLER, users=Users(), put=self.events.append, now_ms=lambda: 1)
        self.ratings = Ratings(self.book, self.state, KEYS, tell=telling.rated)

    @property
    def counted(self) -> list[int]:
        """Each event once, as the control plane counts them."""
        once = {event.event_id: event for event in self.events}
        return [event.rating for event in once.values() if isinstance(event, Feedback)]


@pytest.fixture
async def rated() -> Rated:
    rated = Rated()
    request = RunRequest(agent="helper", environment="default", run_id="r", message="?")
    await rated.book.begin(request, begun_at="2026-11-21T12:00:00+00:00", replica="here:1")
    return rated


async def test_the_same_rating_sent_again_counts_once(rated: Rated) -> None:
    for _ in range(3):
        await rated.ratings.rate("r", "up", user_id="zoe")
    assert rated.counted == [1]


async def test_every_change_of_mind_is_told_and_the_last_rating_comes_last(rated: Rated) -> None:
    for rating in ("up", "down", "up"):
        await rated.ratings.rate("r", rating, user_id="zoe")
    assert rated.counted == [1, -1, 1]


async def test_two_users_and_one_without_a_name_rate_apart(rated: Rated) -> None:
    for user in ("zoe", "max", None):
        await rated.ratings.rate("r", "up", user_id=user)
    assert rated.counted == [1, 1, 1]


async def test_nothing_that_is_told_follows_from_who_rated() -> None:
    told = []
    for user in ("zoe", "max"):
        one = Rated()
        request = RunRequest(agent="helper", environment="default", run_id="r", message="?")
        await one.book.begin(request, begun_at="2026-11-21T12:00:00+00:00", replica="here:1")
        await one.ratings.rate("r", "up", user_id=user)
        told.append(one.events)

    assert told[0] == told[1]


async def test_ratings_sent_at_once_by_two_users_both_stand(rated: Rated) -> None:
    await asyncio.gather(*(rated.ratings.rate("r", "up", user_id=f"u{n}") for n in range(8)))
    stands = (await rated.state.get_many([KEYS.ratings("r")]))[KEYS.ratings("r")].value
    assert len(stands["content"]["ratings"]) == 8


async def test_beyond_a_bound_nobody_new_is_taken(rated: Rated) -> None:
    for number in range(MOST_RATERS + 1):
        await rated.ratings.rate("r", "up", user_id=f"u{number}")
    assert len(rated.counted) == MOST_RATERS


async def test_a_run_that_is_not_kept_cannot_be_rated(rated: Rated) -> None:
    with pytest.raises(RunUnknown):
        await rated.ratings.rate("nobody", "up", user_id="zoe")


async def test_forgetting_erases_who_rated_and_takes_no_rating_any_more(rated: Rated) -> None:
    await rated.ratings.rate("r", "up", user_id="zoe")
    await rated.book.erase("r", ended_at="2026-11-21T12:00:01+00:00")
    assert "zoe" not in rated.state.text()
    with pytest.raises(RunForgotten):
        await rated.ratings.rate("r", "down", user_id="zoe")
