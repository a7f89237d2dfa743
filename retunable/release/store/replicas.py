"""The replicas that a control process hears of: each by its latest heartbeat.

A replica is live while its last heartbeat is younger than three of its intervals, by the
database's clock.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from retunable.events.event import Heartbeat, ItemSeen, Rejected
from retunable.release.store.database import Transaction
from retunable.release.store.moments import moment

LIVE_INTERVALS: Final = 3
KEPT: Final = timedelta(days=1)
"""How long a replica that fell silent is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveReplica:
    """One replica and what it said last; ``seen_at`` is by the database's clock."""

    replica: str
    seen_at: datetime
    interval: timedelta
    generation: int | None
    version: int | None
    revision: int
    status: str
    stream: str | None
    rejected: tuple[Rejected, ...]
    items: tuple[ItemSeen, ...] | None

    def live_at(self, now: datetime) -> bool:
        """Tell whether it is still heard of."""
        return now - self.seen_at < LIVE_INTERVALS * self.interval


def take(work: Transaction, beats: Sequence[Heartbeat]) -> None:
    """Note what replicas said; what came before it and arrives after it changes nothing."""
    latest = {(b.agent, b.environment, b.replica): b for b in sorted(beats, key=lambda b: b.at_ms)}
    for beat in latest.values():
        _take(work, beat)


def forget_silent(work: Transaction) -> None:
    """Let go of replicas that nobody heard of for a day."""
    work.run("forget_replicas", before=work.now - KEPT)


def replicas(work: Transaction, agent: str, *, environment: str) -> tuple[LiveReplica, ...]:
    """Return every replica that is kept, live or silent."""
    rows = work.rows("replicas", agent=agent, environment=environment)
    return tuple(_replica(row) for row in rows)


def live_replicas(work: Transaction, agent: str, *, environment: str) -> tuple[LiveReplica, ...]:
    """Return the replicas that are heard of now."""
    found = replicas(work, agent, environment=environment)
    return tuple(replica for replica in found if replica.live_at(work.now))


def _take(work: Transaction, beat: Heartbeat) -> None:
    who = {"agent": beat.agent, "environment": beat.environment, "replica": beat.replica}
    if beat.leaving:
        work.run("leave", **who, at_ms=beat.at_ms)
        return
    work.run(
        "beat",
        **who,
        seen_at=work.now,
        at_ms=beat.at_ms,
        interval_ms=beat.interval_ms,
        revision=beat.revision,
        generation=beat.generation,
        version=beat.version,
        status=beat.status,
        stream=beat.stream,
        rejected=json.dumps(beat.rejected),
        items=None if beat.items is None else json.dumps(beat.items),
        long_past=work.now - LIVE_INTERVALS * timedelta(milliseconds=beat.interval_ms),
    )


def _replica(row: Any) -> LiveReplica:
    return LiveReplica(
        replica=row.replica,
        seen_at=moment(row.seen_at),
        interval=timedelta(milliseconds=row.interval_ms),
        generation=row.generation,
        version=row.version,
        revision=row.revision,
        status=row.status,
        stream=row.stream,
        rejected=tuple(Rejected(key, reason) for key, reason in json.loads(row.rejected)),
        items=None if row.items is None else _items(row.items),
    )


def _items(text: str) -> tuple[ItemSeen, ...]:
    return tuple(ItemSeen(key, digest) for key, digest in json.loads(text))
