"""What replicas tell of runs: each event kept once, and counted as it is kept.

Rows of single users go 30 days after their rollout; the counts stay. What they prove is decided
elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic_core import to_json

from retunable.events.event import Exposure, Feedback, Outcome
from retunable.release.store.database import Transaction

KEPT: Final = timedelta(days=30)
NONE: Final = ""
"""The rollout of runs outside of any, as the counts name it."""

_KEY: Final = ("agent", "environment", "rollout", "version", "variant")
_COUNTED: Final = (
    "started",
    "finished",
    "failed",
    "stopped",
    "guardrail_failures",
    "limit_hits",
    "input_tokens",
    "output_tokens",
    "latency_ms",
    "cost",
    "liked",
    "disliked",
)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Stable's runs of some time: what a rollout is planned on.

    ``users`` are those told apart by a keyed hash, 0 where nobody's was told. Whoever came in two
    weeks, or in a rollout and outside of it, has two hashes that nobody can join; so these are the
    users of the one rollout or ISO week that had most, never more than there were. The p95s are
    None where nothing is known.
    """

    runs: int
    users: int
    ended: int
    failed: int
    guarded: int
    limited: int
    latency_p95_ms: int | None
    cost_p95: float | None


def take_exposures(work: Transaction, events: Sequence[Exposure]) -> None:
    """Keep that runs started."""
    _keep(work, [_row(event) for event in events])


def take_outcomes(work: Transaction, events: Sequence[Outcome]) -> None:
    """Keep how runs ended."""
    _keep(work, [_row(event) | _ending(event) for event in events])


def take_feedback(work: Transaction, events: Sequence[Feedback]) -> None:
    """Keep how answers were rated; a run that nobody told of is rated outside of any rollout."""
    _keep(work, [_rating(work, event) for event in events])


def run_events(work: Transaction, id: str, *, after: int, at_most: int) -> Sequence[Any]:  # noqa: A002
    """Return the rows of a rollout in the order in which they came, from ``after`` on."""
    return work.rows("run_events", id=id, after=after, at_most=at_most)


def met(
    work: Transaction,
    id: str,  # noqa: A002
    users: Iterable[str],
    *,
    up_to: int,
    cohorts: int,
) -> Sequence[Any]:
    """Return which of some users had a run that is compared, up to a row: by user and tool code.

    ``first`` is the first such row; ``cohorts`` is how many the rollout has.
    """
    asked = to_json(sorted(users)).decode()
    return work.rows("met_users", id=id, users=asked, up_to=up_to, cohorts=cohorts)


def newest(work: Transaction) -> int:
    """Return the place of the newest row of all, 0 for none."""
    row = work.first("newest_run_event")
    return int(row.arrived) if row else 0


def counts(
    work: Transaction, agent: str, *, environment: str, rollout: str | None = None
) -> Sequence[Any]:
    """Return the counts of runs by rollout, version and variant."""
    return work.rows("run_counts", agent=agent, environment=environment, id=rollout)


def usage(work: Transaction, agent: str, *, environment: str, since: datetime) -> Usage:
    """Return what stable's runs were like since a moment.

    Users are counted from the beginning of that moment's ISO week: else, in the middle of a week,
    there would be none that is whole.
    """
    asked = {"agent": agent, "environment": environment, "since": since}
    row = work.first("usage", **asked)
    known = work.first("usage_users", **asked, monday=_monday(since))
    if row is None or known is None:
        raise AssertionError("a count without groups has one row")
    latency = work.first("latency_at", **asked, after=_p95(row.ended)) if row.ended else None
    cost = work.first("cost_at", **asked, after=_p95(row.priced)) if row.priced else None
    return Usage(
        runs=row.runs,
        users=known.users,
        ended=row.ended,
        failed=row.failed,
        guarded=row.guarded,
        limited=row.limited,
        latency_p95_ms=latency.latency_ms if latency else None,
        cost_p95=cost.cost if cost else None,
    )


def forget_users(work: Transaction) -> None:
    """Delete the rows whose rollout has been over for 30 days, and others of that age."""
    for query in ("forget_run_events", "forget_checkpoints"):
        work.run(query, before=work.now - KEPT)


def _keep(work: Transaction, rows: list[Row]) -> None:
    kept = work.rows("insert_run_events", events=to_json(rows).decode(), arrived_at=work.now)
    new = {row.event_id for row in kept}
    for key, counted in _counted(row for row in rows if row["event_id"] in new).items():
        names = dict(zip(_KEY, key, strict=True))
        work.run("add_run_counts", **names, **{name: counted[name] for name in _COUNTED})


def _counted(rows: Iterable[Row]) -> dict[tuple[Any, ...], Counter[str]]:
    found: dict[tuple[Any, ...], Counter[str]] = {}
    seen: set[str] = set()
    for row in rows:
        if row["event_id"] in seen:
            continue  # twice in one batch
        seen.add(row["event_id"])
        key = (
            row["agent"],
            row["environment"],
            row["rollout"] or NONE,
            row["version"] or 0,
            row["variant"] or NONE,
        )
        found.setdefault(key, Counter()).update(_counts_of(row))
    return found


def _counts_of(row: Row) -> dict[str, Any]:
    match row["kind"]:
        case "exposure":
            return {"started": 1}
        case "feedback":
            return {"liked" if row["rating"] > 0 else "disliked": 1}
        case _:
            same = ("guardrail_failures", "input_tokens", "output_tokens", "latency_ms")
            return {
                row["state"]: 1,
                "limit_hits": int(row["limit_hit"]),
                "cost": row["cost"] or 0.0,
                **{name: row[name] for name in same},
            }


def _row(event: Exposure | Outcome) -> Row:
    return {
        "event_id": event.event_id,
        "kind": event.kind,
        "agent": event.agent,
        "environment": event.environment,
        "rollout": event.rollout_id,
        "run": event.run_id,
        "user_hmac": None if event.anonymous else event.user_hmac,
        "bucket": event.bucket,
        "arm": event.arm,
        "cohort": event.cohort,
        "variant": event.variant,
        "version": event.version,
        "checksum": event.version_checksum,
        "pinned": event.pinned,
        "tool_code": event.tool_code,
        "started_ms": event.at_ms,
    }


def _ending(event: Outcome) -> Row:
    return {
        "started_ms": max(event.at_ms - event.latency_ms, 0),
        "state": event.state,
        "guardrail_failures": event.guardrail_failures,
        "limit_hit": event.limit_hit,
        "input_tokens": event.input_tokens,
        "output_tokens": event.output_tokens,
        "latency_ms": event.latency_ms,
        "cost": event.cost,
    }


def _rating(work: Transaction, event: Feedback) -> Row:
    owner = {"agent": event.agent, "environment": event.environment, "run": event.run_id}
    found = work.first("run_of", **owner)
    known = dict(found._mapping) if found is not None else {}
    return {
        "started_ms": event.at_ms,
        "rollout": None,
        "version": None,
        "variant": None,
        **known,
        **owner,
        "event_id": event.event_id,
        "kind": event.kind,
        "rating": event.rating,
    }


def _monday(at: datetime) -> datetime:
    """Return when a moment's ISO week began, in UTC as the pseudonyms have it."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=midnight.weekday())


def _p95(of: int) -> int:
    """Return how many values lie below the 95th percentile of so many."""
    return min(int(of * 0.95), of - 1)
