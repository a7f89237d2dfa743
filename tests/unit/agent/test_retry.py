"""When a model call is made again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retunable.agent.retry import (
    RetryPolicy,
    call_with_retries,
    next_delay,
    parse_http_date,
    parse_retry_after,
)
from retunable.errors import ConfigurationError, ProviderFailed, ProviderRefused

POLICY = RetryPolicy(max_tries=4, max_seconds=60, first_seconds=1, last_seconds=5)
BUSY = ProviderFailed("429: busy", transient=True)


def delay(
    attempt: int,
    failure: ProviderFailed = BUSY,
    *,
    elapsed: float = 0.0,
    jitter: float = 1.0,
    policy: RetryPolicy = POLICY,
) -> float | None:
    return next_delay(
        attempt, failure=failure, elapsed_seconds=elapsed, policy=policy, jitter=jitter
    )


def asks(seconds: float) -> ProviderFailed:
    return ProviderFailed("429", transient=True, retry_after_seconds=seconds)


class Clock:
    """Time that passes only in waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Provider:
    """Fails as scripted, then answers with the number of calls."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self) -> int:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return self.calls


async def retried(provider: Provider, clock: Clock, policy: RetryPolicy = POLICY) -> int:
    return await call_with_retries(
        provider, policy=policy, clock=clock, sleep=clock.sleep, random_number=lambda: 1.0
    )


def test_waits_double_up_to_the_longest() -> None:
    policy = RetryPolicy(max_tries=9, max_seconds=60, first_seconds=1, last_seconds=5)
    assert [delay(n, policy=policy) for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 5, 5]


def test_half_of_a_wait_is_random() -> None:
    assert (delay(1, jitter=0), delay(1, jitter=0.5)) == (0.5, 0.75)


def test_the_last_try_is_followed_by_none() -> None:
    assert (delay(3), delay(4)) == (4, None)


def test_no_try_begins_after_the_policys_time() -> None:
    assert (delay(1, elapsed=59), delay(1, elapsed=59.5)) == (1, None)


def test_what_no_other_try_can_mend_is_given_up() -> None:
    assert delay(1, ProviderFailed("no JSON")) is None


def test_a_server_is_not_asked_sooner_than_it_wants() -> None:
    assert (delay(1, asks(30), jitter=0), delay(1, asks(30), jitter=1)) == (30, 33)


def test_a_wait_shorter_than_our_own_does_not_shorten_it() -> None:
    assert delay(3, asks(0)) == 4


def test_a_server_that_wants_more_than_the_policys_time_is_given_up_at_once() -> None:
    assert delay(1, asks(3600)) is None


@given(
    attempt=st.integers(1, 10_000),
    jitter=st.floats(0, 1),
    elapsed=st.floats(0, 1e6),
    wish=st.none() | st.floats(0, 1e9),
)
def test_every_wait_is_bounded(
    attempt: int, jitter: float, elapsed: float, wish: float | None
) -> None:
    policy = RetryPolicy(max_tries=20_000)
    failure = ProviderFailed("503", transient=True, retry_after_seconds=wish)
    wait = delay(attempt, failure, elapsed=elapsed, jitter=jitter, policy=policy)
    assert wait is None or 0 < wait <= policy.max_seconds - elapsed


async def test_a_call_that_works_again_is_answered() -> None:
    clock, provider = Clock(), Provider(BUSY, BUSY)
    assert await retried(provider, clock) == 3
    assert clock.waits == [1, 2]


async def test_the_last_failure_says_how_often_it_was_tried() -> None:
    with pytest.raises(ProviderFailed, match=r"429: busy \(tried 4 times in 7\.0 s\)"):
        await retried(Provider(*[BUSY] * 9), Clock())


async def test_a_given_up_wait_is_named() -> None:
    with pytest.raises(ProviderFailed, match="429; it asks to wait 3600 s") as raised:
        await retried(Provider(asks(3600)), Clock())
    assert raised.value.retry_after_seconds == 3600


async def test_a_refused_setting_is_never_tried_again() -> None:
    provider = Provider(BUSY, ProviderRefused("no such model", setting="model"))
    with pytest.raises(ProviderRefused):
        await retried(provider, Clock())
    assert provider.calls == 2


async def test_a_bug_of_a_provider_is_not_tried_again() -> None:
    provider = Provider(KeyError("choices"))
    with pytest.raises(KeyError):
        await retried(provider, Clock())
    assert provider.calls == 1


NOW = datetime(2015, 10, 21, 7, 28, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("1.5", 1.5),
        ("0", 0),
        ("-3", 0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30),
        ("Wed, 21 Oct 2015 07:28:30 -0000", 30),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Wed, 99 Oct 2015 07:28:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert parse_retry_after(header, now=NOW) == seconds


@given(st.text())
def test_any_header_is_read_without_an_error(header: str) -> None:
    parse_http_date(header)
    assert (parse_retry_after(header, now=NOW) or 0) >= 0


@pytest.mark.parametrize(
    "wrong", [{"max_tries": 0}, {"first_seconds": 0}, {"first_seconds": 9, "last_seconds": 1}]
)
def test_a_policy_that_cannot_work_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        RetryPolicy(**wrong)
