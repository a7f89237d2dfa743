"""Which sidecar this process is on: the one that its environment names, else an embedded one.

The embedded one is a child shared by all agents of the process, from the first one's start to the
last one's stop. Never chosen because a probe failed: a pod whose daprd is slow waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from retunable.live.threads import run_in_daemon_thread
from retunable.sidecar.environment import sidecar_is_named, told_to_this_process
from retunable.sidecar.files import DEFAULT_DATA_DIR
from retunable.sidecar.kept import KeptSidecar
from retunable.sidecar.settings import SidecarSettings

_log = logging.getLogger("retunable")

RESOURCES: Final = Path("resources")


class User:
    """Somebody who needs a sidecar; ``gone`` before it ever joined, where its start was given up."""

    def __init__(self) -> None:
        self.gone = False


class OwnSidecar:
    """The embedded sidecar of one process, as long as somebody uses it."""

    def __init__(self) -> None:
        self.kept: KeptSidecar | None = None
        self._users: set[User] = set()
        self._changing = threading.Lock()
        self._told = ExitStack()

    @property
    def restarts(self) -> int | None:
        """How often it was started again; None where the process is on another sidecar."""
        return self.kept.restarts if self.kept is not None else None

    @property
    def away(self) -> str | None:
        """Why it does not run now, though it should."""
        return self.kept.away if self.kept is not None else None

    def join(self, user: User, *, app_id: str) -> None:
        """Start it for its first user, unless the environment names another sidecar.

        Raises:
            Unavailable: it did not come up.
        """
        with self._changing:
            if user.gone or (self.kept is None and sidecar_is_named()):
                return
            if self.kept is None:
                self._start(app_id)
            self._users.add(user)

    def leave(self, user: User) -> None:
        """End it with its last user; whoever never joined may leave too."""
        with self._changing:
            user.gone = True
            self._users.discard(user)
            if self.kept is not None and not self._users:
                kept, self.kept = self.kept, None
                self._told.close()
                kept.stop()

    def _start(self, app_id: str) -> None:
        # In full, for the program may change its folder before a child is started again.
        resources = RESOURCES.resolve() if RESOURCES.is_dir() else None
        kept = KeptSidecar(
            SidecarSettings(
                app_id=embedded_app_id(app_id),
                data_dir=DEFAULT_DATA_DIR.resolve(),
                resources_path=resources,
            )
        )
        kept.start()
        self._told.enter_context(told_to_this_process(kept.environment))
        self.kept = kept
        _say(kept)


def embedded_app_id(app_id: str) -> str:
    """Return the app id of this process's embedded sidecar: what the environment says, else this."""
    return os.environ.get("DAPR_APP_ID") or os.environ.get("APP_ID") or app_id


def _say(kept: KeptSidecar) -> None:
    _log.warning(
        "No DAPR_GRPC_PORT is set, so %s runs on an embedded sidecar, for this machine alone; "
        "its data lies in %s. On more machines: dapr run",
        kept.settings.app_id,
        kept.settings.data_dir,
    )
    if kept.stood_in or kept.left_out:
        _log.info(
            "Of %s it keeps in SQLite instead: %s; left to Dapr: %s",
            kept.settings.resources_path,
            ", ".join(kept.stood_in) or "nothing",
            ", ".join(kept.left_out) or "nothing",
        )


own_sidecar: Final = OwnSidecar()
"""The one of this process."""


@asynccontextmanager
async def a_sidecar(*, app_id: str) -> AsyncIterator[None]:
    """Have a sidecar named by the environment while the block runs, an embedded one if need be.

    ``app_id`` is the embedded one's, where neither DAPR_APP_ID nor APP_ID says another.

    Raises:
        Unavailable: the embedded one did not come up.
    """
    user = User()
    leave = partial(own_sidecar.leave, user)
    try:
        await run_in_daemon_thread(
            partial(own_sidecar.join, user, app_id=app_id), name="retunable-sidecar-start"
        )
    except asyncio.CancelledError:
        # The start may go on in its thread; whoever leaves waits for it there.
        threading.Thread(target=leave, name="retunable-sidecar-stop", daemon=True).start()
        raise
    try:
        yield
    finally:
        await run_in_daemon_thread(leave, name="retunable-sidecar-stop")
