"""When to read, for one agent: after a hint, a new stream or a failure, and on a timer.

What to read is planned in ``reading``; what a result means for snapshot and status is the
business of the ``Reader`` that gets it; the stream belongs to the hub.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import inf
from typing import Final, Protocol, assert_never

from retunable.config.items import StoreKind
from retunable.live.announcements import Announcements
from retunable.live.hub import join, leave
from retunable.live.reading import (
    Agreed,
    Answer,
    Groups,
    Known,
    Outcome,
    Plan,
    Unsettled,
    absent_turn,
    differing,
    read_all,
    read_on_timer,
)
from retunable.live.store import ConfigurationStore, FailureKind, StoreDescription, StoreFailure
from retunable.live.stream_health import StreamHealth, StreamState
from retunable.live.subscription import Timings


class Reader(Protocol):
    """Who gets what was read."""

    def read(self, known: Known, *, store: StoreKind) -> None:
        """The store was read, of whatever kind it is."""

    def failed(self, failure: FailureKind | None, detail: str) -> None:
        """The store was not read; None stands for reads that did not agree."""

    def stream_changed(self, health: StreamHealth) -> None:
        """What is known about the stream is another than before."""

    def task_died(self, name: str) -> None:
        """A background task is gone for good."""


class Watcher:
    """Reads one agent's keys whenever there is a reason to."""

    def __init__(
        self,
        keys: tuple[str, ...],
        reader: Reader,
        *,
        store: ConfigurationStore,
        timings: Timings,
    ) -> None:
        self.keys: Final = keys
        self._reader = reader
        self._timings = timings
        self._kind: StoreKind = "other"
        self._kind_is_sure = False
        self._known: Known | None = None
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._hints: frozenset[str] = frozenset()
        self._announced: frozenset[str] = frozenset()
        self._announcements = Announcements(grace_seconds=timings.announce_grace_seconds)
        self._settled = False
        self._read_all_at = -inf
        self._second_get_at = inf
        self._timer_at = inf
        self._turn = 0
        self._retry_seconds = timings.backoff_first_seconds
        self._hub = join(self, store, timings)

    async def leave(self) -> None:
        """Let go of the shared stream."""
        await leave(self, self._hub)

    async def describe(self) -> StoreDescription:
        """Ask what the store is.

        Raises:
            StoreFailure: the sidecar does not answer.
        """
        description = await self._hub.store.describe()
        self._kind, self._kind_is_sure = description.kind, description.present
        return description

    def stream_changed(self, health: StreamHealth) -> None:
        """Pass on what is known about the stream."""
        self._reader.stream_changed(health)

    def task_died(self, name: str) -> None:
        """Pass on that the stream is kept open by nobody."""
        self._reader.task_died(name)

    def hinted(self, keys: frozenset[str]) -> None:
        """Note a notification; the values that it carried are not believed."""
        self._hints |= keys
        self._announced |= keys
        self._announcements.heard(keys)
        self._wake.set()

    def stream_opened(self) -> None:
        """Read at once, and again when the stream surely listens: its id comes before that."""
        self._announcements.forget()
        self._settled = False
        # The component may be another store now: its file can be edited while daprd runs.
        self._kind_is_sure = False
        self._second_get_at = self._loop.time() + self._timings.second_get_seconds
        self.read_wanted()

    def read_wanted(self) -> None:
        """Read all keys as soon as possible."""
        self._read_all_at = -inf
        self._wake.set()

    async def run(self) -> None:
        """Read for ever."""
        while True:
            await self._something_due()
            await self.read_if_due()

    async def read_if_due(self) -> None:
        """Do the one read that is due now, if any; at first that is a read of all keys."""
        now = self._loop.time()
        late = self._announcements.overdue(now)
        if late:
            self._hub.missed(self._hub.generation, late)
        if now >= min(self._read_all_at, self._second_get_at):
            await self._read_everything(second=now >= self._second_get_at)
        elif self._hints:
            hinted, self._hints = self._hints, frozenset()
            await self._read(lambda: self._all_keys(hinted))
        elif now >= self._timer_at:
            self._turn += 1
            await self._read(self._timer_plan)

    async def _something_due(self) -> None:
        due = min(self._read_all_at, self._second_get_at, self._timer_at, self._announcements.due)
        if self._hints or due <= self._loop.time():
            # One turn of the loop, so that a store which answers at once starves nobody.
            await asyncio.sleep(0)
            return
        self._wake.clear()
        timer = self._loop.call_at(due, self._wake.set) if due < inf else None
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _read_everything(self, *, second: bool) -> None:
        self._hints = frozenset()
        self._read_all_at = inf
        generation = self._hub.generation
        if await self._read(self._all_keys) and second and generation == self._hub.generation:
            self._second_get_at = inf
            self._settled = True

    def _all_keys(self, hinted: frozenset[str] = frozenset()) -> Plan:
        return read_all(
            self.keys,
            store=self._kind,
            known=self._known,
            hinted=hinted,
            agreeing_reads=self._timings.agreeing_reads,
        )

    def _timer_plan(self) -> Plan:
        if self._known is None or self._hub.health.state is not StreamState.LIVE:
            return self._all_keys()
        slices = self._timings.absent_slices
        return read_on_timer(
            self.keys,
            store=self._kind,
            known=self._known,
            absent=absent_turn(self.keys, known=self._known, turn=self._turn, slices=slices),
            agreeing_reads=self._timings.agreeing_reads,
        )

    async def _read(self, plan: Callable[[], Plan]) -> bool:
        generation, settled = self._hub.generation, self._settled
        store = self._hub.store
        try:
            if not self._kind_is_sure:
                await self.describe()
            outcome = await _follow(plan(), store)
        except StoreFailure as failure:
            self._failed(await _told_apart(failure, store), generation)
            return False
        match outcome:
            case Agreed():
                self._agreed(outcome, blame=settled and generation == self._hub.generation)
            case Unsettled():
                self._read_again_in(self._timings.unsettled_retry_seconds)
                self._reader.failed(None, "the keys change faster than two reads can agree")
            case _:
                assert_never(outcome)
        self._hub.read_succeeded(generation)
        return isinstance(outcome, Agreed)

    def _agreed(self, outcome: Agreed, *, blame: bool) -> None:
        before, self._known = self._known, outcome.known
        self._reader.read(outcome.known, store=self._kind)
        now = self._loop.time()
        if blame and before is not None:
            changed = differing(before.items, outcome.known.items)
            self._announcements.found(changed - self._announced, now=now)
        self._announced = self._hints
        self._retry_seconds = self._timings.backoff_first_seconds
        self._timer_at = now + self._timings.reconcile_seconds
        if outcome.verify:
            self._read_all_at = now + self._timings.verify_seconds

    def _failed(self, failure: StoreFailure, generation: int) -> None:
        self._kind_is_sure = False
        self._read_again_in(self._retry_seconds)
        last = self._timings.read_retry_last_seconds
        self._retry_seconds = min(2 * self._retry_seconds, last)
        self._reader.failed(failure.kind, failure.detail)
        self._hub.read_failed(generation, failure.detail)

    def _read_again_in(self, seconds: float) -> None:
        """Put off whatever is due: all keys are read then, and the timer starts again after it."""
        self._read_all_at = self._loop.time() + seconds
        self._timer_at = inf
        self._second_get_at = max(self._second_get_at, self._read_all_at)


async def _told_apart(failure: StoreFailure, store: ConfigurationStore) -> StoreFailure:
    """Tell a sidecar that hangs from a store that hangs: both answer with silence."""
    if failure.kind is not FailureKind.DEADLINE:
        return failure
    try:
        await store.describe()
    except StoreFailure as silence:
        return silence
    return failure


async def _follow(plan: Plan, store: ConfigurationStore) -> Outcome:
    try:
        groups = next(plan)
        while True:
            groups = plan.send(await _answers(groups, store))
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome


async def _answers(groups: Groups, store: ConfigurationStore) -> Sequence[Answer]:
    if len(groups) == 1:
        return [await _answer(groups[0], store)]
    answers = await asyncio.gather(
        *(_answer(group, store) for group in groups), return_exceptions=True
    )
    return [_raised_or(answer) for answer in answers]


async def _answer(group: tuple[str, ...], store: ConfigurationStore) -> Answer:
    try:
        return await store.get(group)
    except StoreFailure as failure:
        if failure.kind is FailureKind.POISONED:
            return failure
        raise


def _raised_or(answer: Answer | BaseException) -> Answer:
    if isinstance(answer, StoreFailure) and answer.kind is FailureKind.POISONED:
        return answer
    if isinstance(answer, BaseException):
        raise answer
    return answer
