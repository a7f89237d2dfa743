"""daprd with PostgreSQL as its configuration store."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Self

import psycopg

from dev.stack import OUR_TABLE, PostgresStack, Stack
from retunable.config.items import Item, Unreadable
from tests.behaviour.backend import UNHEARD_GOAL, UNHEARD_KEY, Fault, Write
from tests.behaviour.daprd_backend import MAX_REPLY_BYTES, DaprdBackend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    Connection = psycopg.Connection[tuple[Any, ...]]

UPDATE = "UPDATE configuration SET value = %s, version = (version::int + 1)::text WHERE key = %s"
# Escaped as JSON it may be three times as long.
MOST_ANNOUNCED_BYTES = 2_000
INSERT = "INSERT INTO configuration (key, value, version) VALUES (%s, %s, '1')"


class PostgresBackend(DaprdBackend[PostgresStack]):
    """No notify flags to lose and no rights for listening; its processes cannot be paused as one."""

    name = "postgresql"
    store_kind = "postgresql"
    faults: ClassVar[frozenset[Fault]] = frozenset(Fault) - {
        Fault.STORE_PAUSED,
        Fault.STORE_KILLED_FLAGS_LOST,
        Fault.NO_CONFIG_RIGHT,
        Fault.NO_CHANNEL_RIGHT,
    }
    deaf_for_good: ClassVar[frozenset[Fault]] = frozenset({Fault.NOTIFICATIONS_OFF})
    exact_field_keys = True

    @classmethod
    def create(cls, directory: Path, *, separate_state: bool = False, plain: bool = False) -> Self:
        return cls(
            Stack.postgres(
                directory,
                state="separate" if separate_state else "same",
                schema="documented" if plain else "ours",
            )
        )

    @contextmanager
    def writer(self) -> Iterator[Write]:
        with self.stack.store.connect() as connection:

            def write(items: Mapping[str, str]) -> None:
                with connection.transaction():
                    for key, value in items.items():
                        _write(connection, key, value)

            yield write

    def set_hostile(self, key: str, value: bytes) -> bool:
        try:
            text = value.decode()
            with self._as_from_a_dump(apply=len(value) > MOST_ANNOUNCED_BYTES) as connection:
                _write(connection, key, text)
        except (UnicodeDecodeError, psycopg.DataError):
            return False
        return True

    def delete_hostile(self, key: str) -> None:
        with self._as_from_a_dump() as connection:
            connection.execute("DELETE FROM configuration WHERE key = %s", (key,))

    @contextmanager
    def _as_from_a_dump(self, *, apply: bool = True) -> Iterator[Connection]:
        """Write past the triggers: the documented one refuses more than 8,000 bytes."""
        with self.stack.store.connect() as connection, connection.transaction():
            if apply:
                connection.execute("SET LOCAL session_replication_role = replica")
            yield connection

    def wipe(self) -> None:
        self.stack.store.execute("TRUNCATE configuration")

    def empty_store(self) -> None:
        shutil.rmtree(self.stack.store.data)

    def start_store(self) -> None:
        anew = not self.stack.store.data.exists()
        super().start_store()
        if anew:
            self.stack.store.run_script(OUR_TABLE)

    def as_read(self, value: bytes) -> Item | Unreadable:
        if len(value) >= MAX_REPLY_BYTES:
            return Unreadable("too large")
        return Item(value.decode(), "1")

    @contextmanager
    def suffering(self, fault: Fault) -> Iterator[None]:
        match fault:
            case Fault.LISTENER_BROKEN:
                ended = self.stack.store.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE query ILIKE 'listen%%'"
                )
                assert ended, "nobody listened"
                self.set(UNHEARD_KEY, UNHEARD_GOAL)
                yield
            case Fault.NOTIFICATIONS_OFF:
                self.stack.store.execute("ALTER TABLE configuration DISABLE TRIGGER USER")
                yield
            case _:
                with self._common_fault(fault):
                    yield


def _write(connection: Connection, key: str, value: str) -> None:
    # Not ON CONFLICT: Dapr's documented table has no key to conflict on.
    if connection.execute(UPDATE, (value, key)).rowcount == 0:
        connection.execute(INSERT, (key, value))
