"""What every backend behind a real daprd has in common: the sidecar, its components, its faults."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import yaml

from dev.dapr import Sidecar
from dev.resources import write_atomically
from dev.stack import Stack
from tests.behaviour.backend import Backend, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dev.part import Part

S = TypeVar("S", bound=Stack)

COMPONENT = "runtime-config"
# What daprd puts into one gRPC message.
MAX_REPLY_BYTES = 4_194_304


class DaprdBackend(Backend, Generic[S]):
    """A backend made of a ``dev`` stack."""

    state_server = True

    def __init__(self, stack: S) -> None:
        self.stack = stack

    @property
    def environment(self) -> dict[str, str]:
        return self.stack.environment

    @contextmanager
    def another_sidecar(self, directory: Path) -> Iterator[dict[str, str]]:
        """As in production: each replica has a daprd of its own."""
        directory.mkdir()
        sidecar = Sidecar(
            directory,
            app_id=self.stack.sidecar.app_id,
            resources_path=self.stack.resources,
            control_plane=self.stack.control_plane,
        )
        with sidecar:
            yield {**self.stack.environment, **sidecar.environment}

    def start(self) -> None:
        self.stack.start()

    def stop(self) -> None:
        self.stack.stop()

    def delete(self, key: str) -> None:
        self.stack.delete(key)

    def stop_store(self) -> None:
        self.stack.store.kill()

    def start_store(self) -> None:
        self.stack.store.start()

    def stop_state_store(self) -> None:
        self._state_server.kill()

    def start_state_store(self) -> None:
        self._state_server.start()

    @property
    def _state_server(self) -> Part:
        assert self.stack.state_store is not None, "created without separate_state"
        return self.stack.state_store

    def stop_sidecar(self) -> None:
        self.stack.sidecar.kill()

    def start_sidecar(self) -> None:
        self.stack.sidecar.start()

    def edit_component(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Rewrite the configuration store's component in one step, as an editor should."""
        file, documents = self._component_file()
        for document in documents:
            if document["metadata"]["name"] == COMPONENT:
                change(document["spec"])
        write_atomically(file, yaml.safe_dump_all(documents, sort_keys=False))

    def _component_file(self) -> tuple[Path, list[dict[str, Any]]]:
        for file in sorted(self.stack.resources.glob("*.y*ml")):
            documents = [d for d in yaml.safe_load_all(file.read_text()) if d is not None]
            if any(
                d["kind"] == "Component" and d["metadata"]["name"] == COMPONENT for d in documents
            ):
                return file, documents
        raise AssertionError(f"no component {COMPONENT} in {self.stack.resources}")

    @contextmanager
    def _common_fault(self, fault: Fault) -> Iterator[None]:
        match fault:
            case Fault.STORE_RESTARTED:
                self.stack.store.restart()
                yield
            case Fault.COMPONENT_EDITED:
                # Any change of its text makes daprd load a component anew.
                self.edit_component(_add_a_setting)
                yield
            case _:
                inflict, mend = self._outages()[fault]
                inflict()
                yield
                mend()

    def _outages(self) -> dict[Fault, tuple[Callable[[], None], Callable[[], None]]]:
        store, sidecar = self.stack.store, self.stack.sidecar
        return {
            Fault.STORE_KILLED: (store.kill, store.start),
            Fault.STORE_PAUSED: (store.pause, store.resume),
            Fault.SIDECAR_KILLED: (sidecar.kill, sidecar.start),
            Fault.SIDECAR_TERMINATED: (sidecar.terminate, sidecar.start),
            Fault.SIDECAR_PAUSED: (sidecar.pause, sidecar.resume),
        }


def _add_a_setting(spec: dict[str, Any]) -> None:
    spec["metadata"].append({"name": "editedByHand", "value": "yes"})
