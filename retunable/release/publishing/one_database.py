"""Whether the release store and the configuration table are in one database, and what that allows.

Where they are, an activation is one transaction: no moment in which only one of the two has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from retunable.release.landing import Landing, Publication
from retunable.release.publishing.site import ControlPlane
from retunable.release.store.database import Transaction
from retunable.release.writer import Change, Expected

if TYPE_CHECKING:
    from retunable.release.postgres_writer import PostgresWriter


def is_one_database(plane: ControlPlane) -> bool:
    """Tell whether both are the same table of one running server, and our login may write it.

    Proved by what the server says of itself and not by comparing URLs.
    """
    identity = plane.store.identity()
    if identity is None or plane.publisher.kind != "postgresql":
        return False
    writer = _writer(plane)
    with plane.store.snapshot() as work:
        return bool(writer.identity() == identity and writer.is_table_of(work.driver_connection))


def publish_inside(work: Transaction, plane: ControlPlane, publication: Publication) -> Landing:
    """Publish as a part of the release store's transaction; raises StoreWriteError as elsewhere."""
    return _writer(plane).publish_on(work.driver_connection, publication)


def write_inside(
    work: Transaction, plane: ControlPlane, changes: Mapping[str, Change], expect: Expected
) -> None:
    """Write items as a part of the same transaction; raises StoreWriteError as elsewhere."""
    _writer(plane).write_on(work.driver_connection, changes, expect=expect)


def _writer(plane: ControlPlane) -> PostgresWriter:
    from retunable.release.postgres_writer import PostgresWriter  # psycopg, where it is needed

    writer = plane.publisher
    if not isinstance(writer, PostgresWriter):
        raise TypeError(f"{writer!r} says that it is postgresql and is no PostgresWriter")
    return writer
