"""daprd with Redis as its configuration store."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Self

from dev.redis import RedisServer
from dev.stack import RedisStack, Stack, StateChoice
from retunable.config.items import Item, Unreadable
from tests.behaviour.backend import UNHEARD_GOAL, UNHEARD_KEY, Fault, Write
from tests.behaviour.daprd_backend import MAX_REPLY_BYTES, DaprdBackend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NOTIFICATIONS_OFF = ("CONFIG", "SET", "notify-keyspace-events", "")


class RedisBackend(DaprdBackend[RedisStack]):
    """Any fault but an orderly restart, which to daprd looks like a kill."""

    name = "redis"
    store_kind = "redis"
    faults: ClassVar[frozenset[Fault]] = frozenset(Fault) - {Fault.STORE_RESTARTED}
    deaf_for_good: ClassVar[frozenset[Fault]] = frozenset(
        {Fault.NO_CONFIG_RIGHT, Fault.NO_CHANNEL_RIGHT}
    )
    exact_field_keys = False

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        separate_state: bool = False,
        plain: bool = False,
        broker: RedisServer | None = None,
    ) -> Self:
        # Dapr's documentation gives no line for redis.conf: daprd switches notifications on.
        store = RedisServer(directory / "store", notify=not plain)
        state: StateChoice = "separate" if separate_state else "same"
        return cls(Stack.redis(directory, state=state, store=store, broker=broker))

    @contextmanager
    def writer(self) -> Iterator[Write]:
        with self.stack.store.client() as client:

            def write(items: Mapping[str, str]) -> None:
                client.mset(dict(items))

            yield write

    def set_hostile(self, key: str, value: bytes) -> bool:
        self.stack.set(key, value)
        return True

    def wipe(self) -> None:
        self._commands(("FLUSHDB",))

    def empty_store(self) -> None:
        for file in self.stack.store.directory.glob("*.aof"):
            file.unlink()
        shutil.rmtree(self.stack.store.directory / "appendonlydir", ignore_errors=True)

    def as_read(self, value: bytes) -> Item | Unreadable:
        if len(value) >= MAX_REPLY_BYTES:
            return Unreadable("too large")
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return Unreadable("not UTF-8")
        shown, _, rest = text.partition("||")
        return Item(shown, rest.partition("||")[0])

    @contextmanager
    def suffering(self, fault: Fault) -> Iterator[None]:
        match fault:
            case Fault.LISTENER_BROKEN:
                # One round trip: the write falls into the 10 ms before daprd listens again.
                self._commands(
                    ("CLIENT", "KILL", "TYPE", "pubsub"), ("SET", UNHEARD_KEY, UNHEARD_GOAL)
                )
                yield
            case Fault.NOTIFICATIONS_OFF:
                self._commands(NOTIFICATIONS_OFF)
                yield
            case Fault.STORE_KILLED_FLAGS_LOST:
                self.stack.store.kill()
                yield
                self.stack.store.start()
                self._commands(NOTIFICATIONS_OFF)
            case Fault.NO_CONFIG_RIGHT:
                self._commands(NOTIFICATIONS_OFF, ("ACL", "SETUSER", "default", "-config"))
                yield
            case Fault.NO_CHANNEL_RIGHT:
                self._commands(("ACL", "SETUSER", "default", "resetchannels"))
                yield
            case _:
                with self._common_fault(fault):
                    yield

    def _commands(self, *commands: tuple[str, ...]) -> None:
        with self.stack.store.client() as client:
            pipeline = client.pipeline(transaction=False)
            for words in commands:
                pipeline.execute_command(*words)
            pipeline.execute()
