"""The embedded sidecar in a thread of this process, on an event loop of its own; for tests.

It is started and stopped like a child, but nothing can kill it, and its death is everybody's.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Self

from retunable.errors import RetunableError, Unavailable
from retunable.sidecar.child import READY_SECONDS, not_started
from retunable.sidecar.server import EmbeddedSidecar
from retunable.sidecar.settings import SidecarSettings


class SidecarThread:
    """One sidecar that serves, until it is stopped."""

    def __init__(self, settings: SidecarSettings) -> None:
        self.grpc_port = 0
        self.http_port = 0
        self._settings = settings
        self._sidecar: Future[EmbeddedSidecar] = Future()
        self._loop = asyncio.new_event_loop()
        # A daemon: a disk that hangs cannot hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="embedded sidecar", daemon=True)

    @classmethod
    def start(cls, settings: SidecarSettings, *, ready_seconds: float = READY_SECONDS) -> Self:
        """Start a thread and wait until its sidecar serves.

        Raises:
            Unavailable: it did not come up; the message says why.
        """
        started = cls(settings)
        started._thread.start()
        try:
            sidecar = started._sidecar.result(ready_seconds)
        except TimeoutError as error:
            started._sidecar.cancel()  # it ends as soon as it is ready
            late = f"it was not ready within {ready_seconds:g} s"
            raise not_started(settings, late) from error
        except RetunableError as error:
            raise not_started(settings, str(error)) from error
        started.grpc_port, started.http_port = sidecar.grpc_port, sidecar.http_port
        return started

    def stop(self, *, within_seconds: float) -> None:
        """Have it end, drained.

        Raises:
            Unavailable: it did not end; it stays in this process.
        """
        with suppress(RuntimeError):  # of a closed loop: it has ended by itself (Shutdown)
            self._loop.call_soon_threadsafe(self._sidecar.result().ask_to_stop)
        self._thread.join(within_seconds)
        if self._thread.is_alive():
            raise Unavailable(
                f"the embedded sidecar of {self._settings.app_id!r} did not end within "
                f"{within_seconds:g} s; end what still calls it, or run it as a child",
                part="sidecar",
            )

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                if self._sidecar.done():
                    raise
                self._sidecar.set_exception(error)

    async def _serve(self) -> None:
        token = os.environ.get("DAPR_API_TOKEN") or None
        async with EmbeddedSidecar(self._settings, api_token=token) as sidecar:
            if not self._sidecar.set_running_or_notify_cancel():
                return
            self._sidecar.set_result(sidecar)
            await sidecar.wait_until_asked_to_stop()
