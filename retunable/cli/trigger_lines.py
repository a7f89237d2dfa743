"""The rows of PostgreSQL's own trigger beside the entries of the release store's audit.

All of them are in the JSON form, each with the entry that explains it; as lines stand those that no
command of ours explains. One entry explains one row of a key, so that none is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.cli.target import Target, find_store, find_target
from retunable.config.fields import FIELD_BY_KEY
from retunable.control.direct_writes import explanations
from retunable.errors import ConfigurationError, StoreWriteError
from retunable.events.event import ObservedChange
from retunable.events.shown_value import shown_value
from retunable.release.store.database import Transaction
from retunable.release.trigger_audit import TriggerRow, trigger_rows
from retunable.serve.address import running_agents

NEAR: Final = timedelta(seconds=2)
"""Entry and row of one command are milliseconds apart, by the clocks of at most two databases."""


@dataclass(frozen=True, slots=True)
class DirectWrite:
    """One row; ``entry`` is the audit entry of the command that made it, None for nobody's."""

    row: TriggerRow
    entry: int | None

    def line(self, agent: str, environment: str) -> str:
        row, field = self.row, FIELD_BY_KEY.get(self.row.key.rpartition("/")[2])
        about = f" ({field.name})" if field else ""
        by = f" with {row.program}" if row.program else ""
        return (
            f"{'pg':>6}  {row.at:%Y-%m-%d %H:%M:%S}  {row.actor}  {row.operation} {agent} in "
            f"{environment}{about}: written directly{by} (row {row.id})"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**asdict(self.row), "at": self.row.at.isoformat(), "entry": self.entry}


def direct_writes(
    place: Place,
    work: Transaction,
    *,
    since: datetime,
    actor: str | None,
    field: str | None,
    output: Output,
) -> tuple[DirectWrite, ...]:
    """Return what the trigger wrote of an agent's keys; nothing where its store is no PostgreSQL."""
    if place.where.agent is None:
        return ()
    target = find_target(place.where, running_agents())
    try:
        url = find_store(place.where, target)
        rows = trigger_rows(url, target.keys, since=since) if url.kind == "postgresql" else ()
    except (ConfigurationError, StoreWriteError) as error:
        output.note(f"direct writes are not shown: {error}")
        return ()
    if rows is None:
        output.note("direct writes are not known: the table has no audit trigger of ours")
        return ()
    explained = _explained(work, target, rows)
    return tuple(
        one
        for one in explained
        if actor in (None, one.row.actor) and field in (None, _field(one.row.key))
    )


def _explained(
    work: Transaction, target: Target, rows: Sequence[TriggerRow]
) -> tuple[DirectWrite, ...]:
    used: set[tuple[int, str]] = set()
    found: list[DirectWrite] = []
    for row in rows:
        event = _event(target, row)
        fresh = (one for one in explanations(work, event, near=NEAR) if one not in used)
        why = next(fresh, None)
        if why is not None:
            used.add(why)
        shown = replace(row, old=event.old, new=event.new)
        found.append(DirectWrite(shown, why[0] if why else None))
    return tuple(found)


def _event(target: Target, row: TriggerRow) -> ObservedChange:
    at_ms = int(row.at.timestamp() * 1000)
    return ObservedChange(
        event_id="",
        agent=target.agent or "",
        environment=target.environment,
        replica="",
        at_ms=at_ms,
        key=row.key,
        item="document" if row.key == target.document else "override",
        old=shown_value(row.key, row.old),
        new=shown_value(row.key, row.new),
        not_before_ms=at_ms,
        not_after_ms=at_ms,
    )


def _field(key: str) -> str | None:
    field = FIELD_BY_KEY.get(key.rpartition("/")[2])
    return field.name if field else None
