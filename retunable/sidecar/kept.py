"""An embedded sidecar that is kept running: a child that ends by itself is started again.

On the same ports, so that whoever knew it finds it again; never replaced by anything else.
"""

from __future__ import annotations

import logging
import signal
import threading
from dataclasses import replace
from typing import Final

from retunable.errors import Unavailable
from retunable.sidecar.child import SidecarChild
from retunable.sidecar.environment import app_environment
from retunable.sidecar.settings import SidecarSettings

logger = logging.getLogger("retunable")

STOP_SECONDS: Final = 5.0
FIRST_PAUSE_SECONDS: Final = 0.1
LAST_PAUSE_SECONDS: Final = 5.0


class KeptSidecar:
    """One app's sidecar from ``start`` to ``stop``; ``restarts`` counts its children but the first.

    ``away`` says why none runs now, where that is so; ``stood_in`` and ``left_out`` are those of
    ``SidecarChild``.
    """

    def __init__(self, settings: SidecarSettings) -> None:
        self.settings = settings
        self.restarts = 0
        self.away: str | None = None
        self.stood_in: tuple[str, ...] = ()
        self.left_out: tuple[str, ...] = ()
        self._child: SidecarChild | None = None
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name="retunable-sidecar", daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """What the program beside it gets."""
        settings = self.settings
        return app_environment(
            settings.app_id,
            grpc_port=settings.grpc_port,
            http_port=settings.http_port,
            data_dir=settings.data_dir,
        )

    def start(self) -> None:
        """Start the first child and wait until it serves.

        Raises:
            Unavailable: it did not come up; nothing is kept then.
        """
        child = SidecarChild.start(self.settings)
        self.settings = replace(self.settings, grpc_port=child.grpc_port, http_port=child.http_port)
        self._child = child
        self.stood_in, self.left_out = child.stood_in, child.left_out
        self._thread.start()

    def stop(self) -> None:
        """End the child, drained; returns within ``STOP_SECONDS`` and a little."""
        with self._changing:
            self._stopping.set()
            child = self._child
        if child is not None:
            child.stop(within_seconds=STOP_SECONDS)

    def _keep(self) -> None:
        while (child := self._child) is not None:
            code = child.wait()
            if self._stopping.is_set():
                return
            self.away = f"the embedded sidecar {_how_it_ended(code)}"
            logger.error("%s; starting it again", self.away)
            self._revive()

    def _revive(self) -> None:
        """Start another child, at once and then with pauses, until one serves or all is to end."""
        pause_seconds = 0.0
        self._child = None
        while not self._stopping.wait(pause_seconds):
            try:
                child = SidecarChild.start(self.settings)
            except Unavailable as error:
                self.away = str(error)
                logger.error("%s; trying again", error)
                pause_seconds = min(max(2 * pause_seconds, FIRST_PAUSE_SECONDS), LAST_PAUSE_SECONDS)
            else:
                self._take(child)
                return

    def _take(self, child: SidecarChild) -> None:
        with self._changing:
            if not self._stopping.is_set():
                self._child, self.away = child, None
                self.restarts += 1
                logger.warning("the embedded sidecar is back (start %d)", self.restarts + 1)
                return
        child.stop(within_seconds=STOP_SECONDS)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with {code}"
    return f"was ended by {signal.Signals(-code).name}"
