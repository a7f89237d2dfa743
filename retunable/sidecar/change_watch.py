"""Tells when any process has committed to a SQLite file, within milliseconds.

A thread asks ``PRAGMA data_version`` when the file was written to, and only while somebody listens.
What changed is for the listener to read.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from retunable.sidecar.connection import identity
from retunable.sidecar.pace import POLL_SECONDS, Pace, pace_for

IDENTITY_SECONDS: Final = 0.1
"""How often it is asked whether the same file still stands under the name."""


class Changes:
    """What one listener waits on."""

    def __init__(self) -> None:
        self._happened = asyncio.Event()

    async def wait(self) -> None:
        """Return when something was committed since the last return."""
        await self._happened.wait()
        self._happened.clear()

    def note(self) -> None:
        self._happened.set()


class ChangeWatch:
    """One file, watched for the listeners of one event loop; ``pace`` says when to look at it."""

    def __init__(self, path: Path, *, pace: Callable[[Path], Pace] = pace_for) -> None:
        self._path = path
        self._pace = pace
        self._listeners: set[Changes] = set()
        self._stop: threading.Event | None = None

    @contextmanager
    def listening(self) -> Iterator[Changes]:
        """Note every commit from now on; what stood before is for the listener to read once."""
        changes = Changes()
        self._listeners.add(changes)
        if self._stop is None:
            self._stop = self._start()
        try:
            yield changes
        finally:
            self._listeners.discard(changes)
            if not self._listeners and self._stop is not None:
                self._stop.set()
                self._stop = None

    def _start(self) -> threading.Event:
        stop = threading.Event()
        poll = partial(self._poll, asyncio.get_running_loop(), stop)
        threading.Thread(target=poll, name=f"watch {self._path.name}", daemon=True).start()
        return stop

    def _poll(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        """Look until stopped. The first look is told as a change: it may come late."""
        while not stop.is_set():
            watched = identity(self._path)
            with suppress(sqlite3.Error), closing(_opened(self._path)) as connection:
                self._poll_file(connection, watched, loop, stop)
            time.sleep(POLL_SECONDS)

    def _poll_file(
        self,
        connection: sqlite3.Connection,
        watched: tuple[int, int] | None,
        loop: asyncio.AbstractEventLoop,
        stop: threading.Event,
    ) -> None:
        """Look until stopped or until another file stands under the name."""
        with closing(self._pace(self._path)) as pace:
            seen, known_at = None, time.monotonic()
            while not stop.is_set():
                version = _data_version(connection)
                found = version is not None and version != seen
                if found:
                    seen = version
                    _call(loop, self._note)
                if time.monotonic() - known_at > IDENTITY_SECONDS:
                    if identity(self._path) != watched:
                        return
                    known_at = time.monotonic()
                pace.wait(found=found)

    def _note(self) -> None:
        for changes in self._listeners:
            changes.note()


def _opened(path: Path) -> sqlite3.Connection:
    """Open a file that is there; a look that finds it locked is made again, not waited for."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)


def _data_version(connection: sqlite3.Connection) -> int | None:
    """Return a number that changes with each commit of another connection; None if locked."""
    try:
        return int(connection.execute("PRAGMA data_version").fetchone()[0])
    except sqlite3.OperationalError:
        return None


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Call a function on the loop from another thread; a closed loop has no listeners."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function)
