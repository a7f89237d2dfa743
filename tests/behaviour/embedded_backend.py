"""The embedded sidecar, with its configuration in a SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, ClassVar, Self

from dev.embedded import EmbeddedStack
from retunable.config.items import Item, Unreadable
from tests.behaviour.backend import Backend, Fault, Write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

STORE = "runtime-config"
TRIGGERS = ("configuration_inserted", "configuration_updated")
# As daprd, the sidecar refuses to put more into one message.
MAX_REPLY_BYTES = 4 * 1024 * 1024


class EmbeddedBackend(Backend):
    """No server, no listener and no component file: what is left to fail is the sidecar itself."""

    name = "embedded"
    store_kind = "sqlite"
    faults: ClassVar[frozenset[Fault]] = frozenset(
        {Fault.SIDECAR_KILLED, Fault.SIDECAR_TERMINATED, Fault.SIDECAR_PAUSED}
    )
    deaf_for_good: ClassVar[frozenset[Fault]] = frozenset()
    exact_field_keys = True
    # The state is a file that the sidecar itself has open.
    state_server = False

    def __init__(self, stack: EmbeddedStack) -> None:
        self.stack = stack

    @classmethod
    def create(cls, directory: Path, *, separate_state: bool = False, plain: bool = False) -> Self:
        # The state has a file of its own in any case, and there is no other way to set it up.
        del separate_state, plain
        return cls(EmbeddedStack(directory))

    @property
    def environment(self) -> dict[str, str]:
        return self.stack.environment

    @contextmanager
    def another_sidecar(self, directory: Path) -> Iterator[dict[str, str]]:
        """An app id has one, which all its processes on the machine share."""
        del directory
        yield self.environment

    def start(self) -> None:
        self.stack.start()

    def stop(self) -> None:
        self.stack.stop()

    @contextmanager
    def writer(self) -> Iterator[Write]:
        file = self.stack.file

        def write(items: Mapping[str, str]) -> None:
            file.write(items)

        yield write

    def set_hostile(self, key: str, value: bytes) -> bool:
        # Any bytes can be stored as text by whoever opens the file.
        self._execute(
            "INSERT INTO configuration (store, key, value) VALUES (?, ?, CAST(? AS TEXT)) "
            "ON CONFLICT (store, key) DO UPDATE SET value = excluded.value",
            STORE,
            key,
            value,
        )
        return True

    def delete(self, key: str) -> None:
        self.stack.delete(key)

    def wipe(self) -> None:
        self._execute("DELETE FROM configuration")

    def as_read(self, value: bytes) -> Item | Unreadable:
        if len(value) >= MAX_REPLY_BYTES:
            return Unreadable("too large")
        try:
            return Item(value.decode(), "1")
        except UnicodeDecodeError:
            return Unreadable("not UTF-8")

    @contextmanager
    def suffering(self, fault: Fault) -> Iterator[None]:
        if fault is Fault.NOTIFICATIONS_OFF:
            # The nearest that there is, and no fault: changes are found by their values too.
            for trigger in TRIGGERS:
                self._execute(f"DROP TRIGGER {trigger}")
            yield
            return
        sidecar = self.stack.sidecar
        inflict, mend = {
            Fault.SIDECAR_KILLED: (sidecar.kill, sidecar.start),
            Fault.SIDECAR_TERMINATED: (sidecar.terminate, sidecar.start),
            Fault.SIDECAR_PAUSED: (sidecar.pause, sidecar.resume),
        }[fault]
        inflict()
        yield
        mend()

    # A file cannot be down; without its table no read of it works.

    def stop_store(self) -> None:
        self._execute("ALTER TABLE configuration RENAME TO configuration_away")

    def start_store(self) -> None:
        self._execute("ALTER TABLE configuration_away RENAME TO configuration")

    def empty_store(self) -> None:
        self._execute("DELETE FROM configuration_away")

    def stop_sidecar(self) -> None:
        self.stack.sidecar.kill()

    def start_sidecar(self) -> None:
        self.stack.sidecar.start()

    def _execute(self, statement: str, *values: str | bytes) -> None:
        path = self.stack.file.path
        with closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as connection:
            connection.execute(statement, values)
