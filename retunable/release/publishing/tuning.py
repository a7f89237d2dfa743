"""Writes field keys and plain documents through the release store: announced, then written, then ended.

An entry is there before anything is written, so that nothing lands that the audit does not tell of;
a second one says what became of it. Without a second one the writer died in between, and nobody
knows. What cannot be signed is decided by the caller: a signed value goes into an envelope.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from retunable.config.items import Item, Items
from retunable.errors import StoreWriteError
from retunable.release.documents import stored_document
from retunable.release.publishing.one_database import is_one_database, write_inside
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.store import audit, deployments
from retunable.release.store.audit import Record
from retunable.release.store.database import Transaction
from retunable.release.store.points import Point
from retunable.release.store.records import Entry
from retunable.release.writer import Change, Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What to write under which full store keys, why, and the fields that it is about."""

    action: Literal["set", "unset"]
    changes: Mapping[str, Change]
    fields: tuple[str, ...]
    reason: str = ""


def tune(plane: ControlPlane, site: Site, tuning: Tuning, *, shown: Items | None = None) -> Entry:
    """Write all of it, if the document and the keys are still as they were shown.

    ``shown`` is what somebody decided on; what stands now, where it is None. A process that is
    stopped in between writes nothing over what another has published or set meanwhile.

    Raises:
        StoreWriteError: something else stands, or the store is away or refuses; nothing was
            written, unless the message says that nobody knows.
        ReleaseStoreError: the release store is away or refuses; nothing was written.
    """
    keys = (site.document, *tuning.changes)
    items = plane.publisher.read(keys) if shown is None else shown
    expect = {key: items.get(key) for key in keys}
    if is_one_database(plane):
        return _together(plane, site, tuning, expect)
    return _in_steps(plane, site, tuning, expect)


def _together(plane: ControlPlane, site: Site, tuning: Tuning, expect: Expected) -> Entry:
    with plane.store.transaction(claimed=plane.claimed) as work:
        entry = _announce(work, plane, site, tuning, expect)
        write_inside(work, plane, tuning.changes, expect)
        _end(work, entry, "confirm", reason=tuning.reason)
    return entry


def _in_steps(plane: ControlPlane, site: Site, tuning: Tuning, expect: Expected) -> Entry:
    with plane.store.transaction(claimed=plane.claimed) as work:
        entry = _announce(work, plane, site, tuning, expect)
    plane.store.reached(Point.PENDING)
    try:
        plane.publisher.write(tuning.changes, expect=expect)
    except StoreWriteError as error:
        # It may have landed without an answer. A store that cannot be read now leaves it open.
        if not _stands(plane, tuning):
            with plane.store.transaction(claimed=plane.claimed) as work:
                _end(work, entry, "withdraw", reason=str(error))
            raise
    plane.store.reached(Point.PUBLISHED)
    with plane.store.transaction(claimed=plane.claimed) as work:
        _end(work, entry, "confirm", reason=tuning.reason)
    return entry


def _announce(
    work: Transaction, plane: ControlPlane, site: Site, tuning: Tuning, expect: Expected
) -> Entry:
    active = deployments.active(work, site.agent, environment=site.environment)
    changes = {key: {"old": _told(expect[key]), "new": new} for key, new in tuning.changes.items()}
    return audit.append(
        work,
        Record(
            action=tuning.action,
            agent=site.agent,
            environment=site.environment,
            version=active.version if active else None,
            reason=tuning.reason,
            data={
                "changes": changes,
                "fields": list(tuning.fields),
                "generation": stored_document(expect[site.document]).generation,
                "store": plane.publisher.describe(),
            },
        ),
    )


def _end(
    work: Transaction, of: Entry, action: Literal["confirm", "withdraw"], *, reason: str
) -> None:
    audit.append(
        work,
        Record(
            action=action,
            agent=of.agent,
            environment=of.environment,
            reason=reason,
            data={"change": of.stamp.sequence, "fields": list(of.data["fields"])},
        ),
    )


def _told(standing: Any) -> str | None:
    """Return what stood there as the audit keeps it; a release is in the deployments already."""
    if not isinstance(standing, Item) or stored_document(standing).kind == "envelope":
        return None
    return standing.value


def _stands(plane: ControlPlane, tuning: Tuning) -> bool:
    items = plane.publisher.read(tuple(tuning.changes))
    now = {key: item.value if isinstance(item, Item) else None for key, item in items.items()}
    return all(now.get(key) == new for key, new in tuning.changes.items())
