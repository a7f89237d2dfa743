"""Everything that one app id needs, started together: a configuration store, a state store and Dapr.

The configuration store can be another server than the state store, so that one can be down while
the other is up. What a backend is like to a test (set a key, delete it) is decided here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeAlias

from dev.dapr import ControlPlane, Sidecar
from dev.postgres import PostgresServer
from dev.redis import RedisServer
from dev.resources import (
    CHECKOUT,
    POSTGRES_RESOURCES,
    REDIS_RESOURCES,
    Addresses,
    write_resources,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dev.part import Part

StateChoice: TypeAlias = Literal["same", "separate", "sqlite"]
Schema: TypeAlias = Literal["ours", "documented"]

OUR_TABLE = CHECKOUT / "sql" / "configuration.sql"
DOCUMENTED_TABLE = Path(__file__).with_name("documented_table.sql")


class Stack(ABC):
    """One running set; a context manager. `store` is the configuration store's server."""

    backend: ClassVar[Literal["redis", "postgresql"]]
    store: RedisServer | PostgresServer
    state_store: RedisServer | PostgresServer | None

    def __init__(
        self,
        directory: Path,
        *,
        app_id: str,
        broker: RedisServer | None,
        resources: Path,
        sidecar_arguments: Sequence[str],
    ) -> None:
        self.directory = directory.resolve()
        self.broker = broker
        self._source = resources
        self.control_plane = ControlPlane(self.directory / "dapr")
        self.sidecar = Sidecar(
            self.directory / "dapr" / "daprd",
            app_id=app_id,
            resources_path=self.resources,
            control_plane=self.control_plane,
            arguments=sidecar_arguments,
        )

    @staticmethod
    def redis(
        directory: Path,
        *,
        app_id: str = "agent-under-test",
        state: StateChoice = "same",
        store: RedisServer | None = None,
        broker: RedisServer | None = None,
        resources: Path = REDIS_RESOURCES,
        sidecar_arguments: Sequence[str] = (),
    ) -> RedisStack:
        """Return a stack on Redis, not yet started; give `store` for one with other settings.

        With a `broker` topics lie there, so that it can be down while the stores are up.
        """
        return RedisStack(
            directory,
            state=state,
            store=store,
            broker=broker,
            app_id=app_id,
            resources=resources,
            sidecar_arguments=sidecar_arguments,
        )

    @staticmethod
    def postgres(
        directory: Path,
        *,
        app_id: str = "agent-under-test",
        state: StateChoice = "same",
        schema: Schema = "ours",
        broker: RedisServer | None = None,
        resources: Path = POSTGRES_RESOURCES,
        sidecar_arguments: Sequence[str] = (),
    ) -> PostgresStack:
        """Return a stack on PostgreSQL, not yet started, with our table or Dapr's documented one.

        Topics are daprd's own unless there is a `broker`, which other sidecars reach too.
        """
        return PostgresStack(
            directory,
            broker=broker,
            state=state,
            schema=schema,
            app_id=app_id,
            resources=resources,
            sidecar_arguments=sidecar_arguments,
        )

    @property
    def resources(self) -> Path:
        """The folder of component files that this stack's sidecar reads."""
        return self.directory / "resources"

    @property
    def environment(self) -> dict[str, str]:
        """What an app of this stack gets: as from `dapr run`, and where its store is."""
        return {**self.sidecar.environment, "RETUNABLE_STORE": self.store.url}

    @abstractmethod
    def set(self, key: str, value: str) -> None:
        """Write one item straight into the store, as a person with its own client would."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove one item from the store."""

    @abstractmethod
    def _addresses(self) -> Addresses: ...

    @abstractmethod
    def _prepare_store(self) -> None:
        """Make what the sidecar expects to find in the running store."""

    def start(self) -> None:
        """Start everything, the servers and the control plane side by side; about half a second."""
        with ExitStack() as undo:
            undo.callback(self.stop)
            broker = self.broker.address if self.broker else ""
            addresses = replace(self._addresses(), broker_redis=broker)
            write_resources(self._source, self.resources, addresses=addresses)
            self.control_plane.begin()
            for server in self._servers():
                server.begin()
            for server in self._servers():
                server.wait_ready()
            self._prepare_store()
            self.sidecar.begin()
            self.control_plane.wait_ready()
            self.sidecar.wait_ready()
            undo.pop_all()

    def stop(self) -> None:
        """Stop what runs, the sidecar first."""
        self.sidecar.stop()
        self.control_plane.stop()
        for server in self._servers():
            server.stop()

    def _servers(self) -> list[Part]:
        servers = (self.store, self.state_store, self.broker)
        return [server for server in servers if server is not None]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


class RedisStack(Stack):
    backend = "redis"
    store: RedisServer
    state_store: RedisServer | None

    def __init__(
        self,
        directory: Path,
        *,
        state: StateChoice,
        store: RedisServer | None,
        app_id: str,
        broker: RedisServer | None,
        resources: Path,
        sidecar_arguments: Sequence[str],
    ) -> None:
        super().__init__(
            directory,
            app_id=app_id,
            broker=broker,
            resources=resources,
            sidecar_arguments=sidecar_arguments,
        )
        self._state = state
        self.store = store or RedisServer(self.directory / "store")
        separate = state == "separate"
        self.state_store = RedisServer(self.directory / "state") if separate else None

    def set(self, key: str, value: str | bytes) -> None:
        with self.store.client() as client:
            client.set(key, value)

    def delete(self, key: str) -> None:
        with self.store.client() as client:
            client.delete(key)

    def _prepare_store(self) -> None:
        """Redis needs nothing."""

    def _addresses(self) -> Addresses:
        return Addresses(
            configuration_redis=self.store.address,
            state_redis=(self.state_store or self.store).address,
            state_sqlite=self.directory / "state.db" if self._state == "sqlite" else None,
        )


class PostgresStack(Stack):
    backend = "postgresql"
    store: PostgresServer
    state_store: PostgresServer | None

    def __init__(
        self,
        directory: Path,
        *,
        state: StateChoice,
        schema: Schema,
        app_id: str,
        broker: RedisServer | None,
        resources: Path,
        sidecar_arguments: Sequence[str],
    ) -> None:
        super().__init__(
            directory,
            app_id=app_id,
            broker=broker,
            resources=resources,
            sidecar_arguments=sidecar_arguments,
        )
        self._state = state
        self._table = OUR_TABLE if schema == "ours" else DOCUMENTED_TABLE
        self.store = PostgresServer(self.directory / "store")
        separate = state == "separate"
        self.state_store = PostgresServer(self.directory / "state") if separate else None

    def set(self, key: str, value: str) -> None:
        # Not ON CONFLICT: Dapr's documented table has no key to conflict on.
        with self.store.connect() as connection, connection.transaction():
            updated = connection.execute(
                "UPDATE configuration SET value = %s, version = (version::int + 1)::text"
                " WHERE key = %s",
                (value, key),
            )
            if updated.rowcount == 0:
                connection.execute(
                    "INSERT INTO configuration (key, value, version) VALUES (%s, %s, '1')",
                    (key, value),
                )

    def delete(self, key: str) -> None:
        self.store.execute("DELETE FROM configuration WHERE key = %s", (key,))

    def _prepare_store(self) -> None:
        self.store.run_script(self._table)

    def _addresses(self) -> Addresses:
        return Addresses(
            configuration_postgresql=self.store.connection_string,
            state_postgresql=(self.state_store or self.store).connection_string,
            state_sqlite=self.directory / "state.db" if self._state == "sqlite" else None,
        )
