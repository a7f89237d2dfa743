"""What the suite needs from a backend: where the agent's configuration is, and what can befall it.

Everything here is said without naming a store. A backend declares which faults it can have; a test
runs for each of those and for no other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from retunable.config.items import Item, StoreKind, Unreadable

BackendName: TypeAlias = Literal["redis", "postgresql", "embedded"]
Write: TypeAlias = "Callable[[Mapping[str, str]], None]"

UNHEARD_KEY = "agent_goal"
UNHEARD_GOAL = "written while nobody listened"


class Fault(Enum):
    """What can befall a backend; the test table of the project names each of them."""

    STORE_KILLED = "store killed and back"
    STORE_KILLED_FLAGS_LOST = "store killed and back without its notify flags"
    STORE_RESTARTED = "store restarted"
    STORE_PAUSED = "store paused"
    LISTENER_BROKEN = "listener's connection ended"
    NOTIFICATIONS_OFF = "notifications switched off"
    NO_CONFIG_RIGHT = "sidecar's user may not switch notifications on"
    NO_CHANNEL_RIGHT = "sidecar's user may not listen"
    COMPONENT_EDITED = "component file edited"
    SIDECAR_KILLED = "sidecar killed and back"
    SIDECAR_TERMINATED = "sidecar terminated and back"
    SIDECAR_PAUSED = "sidecar paused"


class Backend(ABC):
    """One running backend for one agent; a context manager."""

    name: ClassVar[BackendName]
    store_kind: ClassVar[StoreKind]
    faults: ClassVar[frozenset[Fault]]
    # Faults after which no new stream helps: polling is what is left.
    deaf_for_good: ClassVar[frozenset[Fault]]
    # Whether the state store is a server of its own, which can be away while the sidecar is there.
    state_server: ClassVar[bool]
    # Whether several field keys of one write can be read half.
    exact_field_keys: ClassVar[bool]

    @classmethod
    @abstractmethod
    def create(cls, directory: Path, *, separate_state: bool = False, plain: bool = False) -> Self:
        """Make one, not yet started.

        ``separate_state`` keeps the state store out of reach of the configuration store's faults.
        ``plain`` sets the store up as Dapr's documentation does, without anything of ours.
        """

    @property
    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What the agent's program gets, as from `dapr run`."""

    @abstractmethod
    def another_sidecar(self, directory: Path) -> AbstractContextManager[dict[str, str]]:
        """Give what the program of a second replica gets, on the same stores and app id."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    # Items

    def set(self, key: str, value: str) -> None:
        """Write one item with the store's own client."""
        with self.writer() as write:
            write({key: value})

    @abstractmethod
    def writer(self) -> AbstractContextManager[Write]:
        """Open a connection on which each call writes its items in one atomic write."""

    @abstractmethod
    def set_hostile(self, key: str, value: bytes) -> bool:
        """Write any bytes; False where the store itself refuses them."""

    @abstractmethod
    def delete(self, key: str) -> None: ...

    def delete_hostile(self, key: str) -> None:
        """Remove an item of any size."""
        self.delete(key)

    @abstractmethod
    def wipe(self) -> None:
        """Remove every configuration item at once (FLUSHDB, TRUNCATE)."""

    @abstractmethod
    def as_read(self, value: bytes) -> Item | Unreadable:
        """Return what the sidecar makes of a value that the store took."""

    # Faults

    @abstractmethod
    def suffering(self, fault: Fault) -> AbstractContextManager[None]:
        """Inflict a fault; when the block ends everything that can come back is back.

        ``LISTENER_BROKEN`` also writes ``UNHEARD_GOAL`` in the instant in which nobody listens.
        """

    @abstractmethod
    def stop_store(self) -> None: ...

    @abstractmethod
    def start_store(self) -> None: ...

    @abstractmethod
    def empty_store(self) -> None:
        """Throw the stopped store's data away."""

    def stop_state_store(self) -> None:
        """Kill the state store's server, where it has one of its own."""
        raise NotImplementedError(f"{self.name} has no server for its state")

    def start_state_store(self) -> None:
        raise NotImplementedError(f"{self.name} has no server for its state")

    @abstractmethod
    def stop_sidecar(self) -> None:
        """Kill the sidecar (kill -9)."""

    @abstractmethod
    def start_sidecar(self) -> None: ...

    @contextmanager
    def without_sidecar(self) -> Iterator[None]:
        self.stop_sidecar()
        try:
            yield
        finally:
            self.start_sidecar()

    @contextmanager
    def without_state_store(self) -> Iterator[None]:
        self.stop_state_store()
        try:
            yield
        finally:
            self.start_state_store()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
