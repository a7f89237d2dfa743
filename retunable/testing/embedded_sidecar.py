"""An embedded sidecar for tests: everything that an agent needs of Dapr, in a folder of the test's."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Literal, Self

from retunable.config.items import Item
from retunable.release.sqlite_writer import SQLiteWriter
from retunable.release.store_url import DEFAULT_COMPONENT, StoreURL
from retunable.release.writer import Change
from retunable.sidecar.child import SidecarChild
from retunable.sidecar.environment import app_environment, store_url, told_to_this_process
from retunable.sidecar.settings import SidecarSettings
from retunable.sidecar.thread import SidecarThread

RunsAs = Literal["child", "thread"]

STOP_SECONDS = 15.0
_PLACES: Final[Mapping[RunsAs, type[SidecarChild | SidecarThread]]] = {
    "child": SidecarChild,
    "thread": SidecarThread,
}


class EmbeddedSidecar:
    """A sidecar of its own while the block runs; agents that start in the block are on it.

        with EmbeddedSidecar(tmp_path) as sidecar:
            sidecar.set("agent_role", "Expert Data Scientist")

    Its data lies in ``folder``, or in a temporary one that goes with it. ``app_id`` is a new one
    where none is named: what an agent remembers of one test is then nothing to the next.
    ``store`` is the component whose items ``set``, ``write`` and ``get`` mean. The process is told
    through its environment, so one such block at a time.

    ``runs_as`` says where it serves: in a child process, as where an agent starts it, or in a
    thread of this one, which is for a debugger and where no process may be started.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        app_id: str | None = None,
        store: str = DEFAULT_COMPONENT,
        resources_path: Path | None = None,
        runs_as: RunsAs = "child",
    ) -> None:
        self._folder = folder
        self._app_id = app_id or f"test-{uuid.uuid4().hex[:12]}"
        self._store = store
        self._resources_path = resources_path
        self._place = _PLACES[runs_as]
        self._serving: SidecarChild | SidecarThread | None = None
        self._data_dir = Path()
        self._undo = ExitStack()

    @property
    def environment(self) -> Mapping[str, str]:
        """What a program of its own gets to be on this sidecar, as from `dapr run`."""
        serving = self._running()
        return app_environment(
            self._app_id,
            grpc_port=serving.grpc_port,
            http_port=serving.http_port,
            data_dir=self._data_dir,
        )

    def set(self, key: str, value: str) -> None:
        """Write one item, as `retune set` does."""
        self.write({key: value})

    def write(self, changes: Mapping[str, Change]) -> None:
        """Write or delete (None) several items at once.

        Raises:
            StoreWriteError: nothing was written.
        """
        self._writer().write(changes)

    def get(self, key: str) -> str | None:
        """Return the text under a key; None where there is none."""
        item = self._writer().read([key]).get(key)
        return item.value if isinstance(item, Item) else None

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            if self._folder is None:
                folder = undo.enter_context(tempfile.TemporaryDirectory(prefix="retunable-"))
                self._data_dir = Path(folder)
            else:
                self._data_dir = self._folder / ".retunable"
            self._serving = self._place.start(
                SidecarSettings(
                    app_id=self._app_id,
                    data_dir=self._data_dir,
                    resources_path=self._resources_path,
                )
            )
            undo.callback(self._serving.stop, within_seconds=STOP_SECONDS)
            undo.enter_context(told_to_this_process(self.environment))
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._undo.close()
        self._serving = None

    def _running(self) -> SidecarChild | SidecarThread:
        if self._serving is None:
            raise RuntimeError("the sidecar runs inside its `with` block only")
        return self._serving

    def _writer(self) -> SQLiteWriter:
        self._running()
        return SQLiteWriter(StoreURL.parse(store_url(self._data_dir), component=self._store))
