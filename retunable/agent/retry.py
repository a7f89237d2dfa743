"""When a model call that did not work is made again: a pure decision, and the loop around it.

Only what another try may mend is tried again: 429, 5xx, broken connections. A provider that
refuses a setting is never asked twice. The decision knows no clock and no randomness.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Final, TypeVar

from retunable.errors import ConfigurationError, ProviderFailed

_log = logging.getLogger("retunable")

T = TypeVar("T")

RETRY_AFTER_SPREAD: Final = 0.1
"""Of a server's own waiting time, how much is added at most, so that its callers come apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how long a model call is tried.

    ``max_tries`` counts the first one too. No try begins later than ``max_seconds`` after the
    first began. Waits double from ``first_seconds`` to ``last_seconds``.
    """

    max_tries: int = 6
    max_seconds: float = 180.0
    first_seconds: float = 0.5
    last_seconds: float = 20.0

    def __post_init__(self) -> None:
        if self.max_tries < 1:
            raise ConfigurationError("RetryPolicy(max_tries=…) counts the first try: at least 1")
        if not 0 < self.first_seconds <= self.last_seconds or not self.max_seconds >= 0:
            raise ConfigurationError(
                "RetryPolicy needs 0 < first_seconds <= last_seconds and 0 <= max_seconds"
            )


def backoff_seconds(attempt: int, *, first: float, last: float, jitter: float) -> float:
    """Return the wait after try ``attempt`` (the first is 1): doubling, with half of it random.

    ``jitter`` is a random number from 0 to 1.
    """
    doubled: float = first * 2 ** min(attempt - 1, 60)
    return min(last, doubled) * (0.5 + 0.5 * jitter)


def next_delay(
    attempt: int,
    *,
    failure: ProviderFailed,
    elapsed_seconds: float,
    policy: RetryPolicy,
    jitter: float,
) -> float | None:
    """Return how long to wait after try ``attempt`` failed, None to give up.

    A server that says when to come back is never asked sooner; where that lies beyond the
    policy's time, waiting is pointless and the call is given up at once.
    """
    if not failure.transient or attempt >= policy.max_tries:
        return None
    wait = backoff_seconds(
        attempt, first=policy.first_seconds, last=policy.last_seconds, jitter=jitter
    )
    if failure.retry_after_seconds is not None:
        wait = max(wait, failure.retry_after_seconds * (1 + RETRY_AFTER_SPREAD * jitter))
    return wait if elapsed_seconds + wait <= policy.max_seconds else None


async def call_with_retries(
    call: Callable[[], Awaitable[T]],
    *,
    policy: RetryPolicy,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    random_number: Callable[[], float] = random.random,
) -> T:
    """Make one model call, again where that may help.

    Raises:
        ProviderFailed: the last try's failure, with the number of tries.
        ProviderRefused: at once, from any try.
    """
    began = clock()
    for attempt in count(1):
        try:
            return await call()
        except ProviderFailed as failed:
            elapsed = clock() - began
            delay = next_delay(
                attempt,
                failure=failed,
                elapsed_seconds=elapsed,
                policy=policy,
                jitter=random_number(),
            )
            if delay is None:
                raise _final(failed, attempt, elapsed) from failed
            _log.warning(
                "the model call failed (%s); try %d of %d follows in %.1f s",
                failed,
                attempt + 1,
                policy.max_tries,
                delay,
            )
        await sleep(delay)
    raise AssertionError("count() does not end")


def parse_retry_after(value: str, *, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for; None where it says nothing.

    It is a number of seconds or an HTTP date (RFC 9110 section 10.2.3). ``now`` is best the
    ``Date`` header of the same reply: then a wrong clock of either side does no harm.
    """
    try:
        seconds = float(value)
    except ValueError:
        until = parse_http_date(value)
        return None if until is None else max(0.0, (until - now).total_seconds())
    return max(0.0, seconds) if math.isfinite(seconds) else None


def parse_http_date(value: str) -> datetime | None:
    """Return an HTTP date as an aware time, None where it is none."""
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _final(failed: ProviderFailed, attempt: int, elapsed: float) -> ProviderFailed:
    tried = f" (tried {attempt} times in {elapsed:.1f} s)" if attempt > 1 else ""
    asked = failed.retry_after_seconds
    later = f"; it asks to wait {asked:.0f} s" if asked is not None and asked >= 1 else ""
    return ProviderFailed(
        f"{failed}{later}{tried}", transient=failed.transient, retry_after_seconds=asked
    )
