"""Tells when any process has committed to a SQLite file, within milliseconds.

The event loop itself asks ``PRAGMA data_version`` when the file was written to, and only while
somebody listens: a thread would have to wake the loop before anything could be read. What changed
is for the listener to read.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from retunable.sidecar.connection import identity
from retunable.sidecar.pace import POLL_SECONDS, Look, Pace, pace_for

IDENTITY_SECONDS: Final = 0.1
"""How often it is asked whether the same file still stands under the name."""

MakePace = Callable[[Path, Look], Pace]


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

    def __init__(self, path: Path, *, pace: MakePace = pace_for) -> None:
        self._path = path
        self._pace = pace
        self._listeners: set[Changes] = set()
        self._lookout: _Lookout | None = None

    @contextmanager
    def listening(self) -> Iterator[Changes]:
        """Note every commit from now on; what stood before is for the listener to read once."""
        changes = Changes()
        self._listeners.add(changes)
        if self._lookout is None:
            self._lookout = _Lookout(self._path, pace=self._pace, found=self._note)
        try:
            yield changes
        finally:
            self._listeners.discard(changes)
            if not self._listeners and self._lookout is not None:
                self._lookout.end()
                self._lookout = None

    def _note(self) -> None:
        for changes in self._listeners:
            changes.note()


class _Lookout:
    """Looks at whatever file stands under a name, on the running event loop, until it is ended.

    The first look at each file is told as a change: it may come late.
    """

    def __init__(self, path: Path, *, pace: MakePace, found: Callable[[], None]) -> None:
        self._path = path
        self._make_pace = pace
        self._found = found
        self._loop = asyncio.get_running_loop()
        self._file: _File | None = None
        self._begin: asyncio.Handle = self._loop.call_soon(self._take_up)

    def end(self) -> None:
        self._begin.cancel()
        self._let_go()

    def _take_up(self) -> None:
        try:
            self._file = _File(self._path, pace=self._make_pace, look=self._look)
        except sqlite3.Error:  # none there yet
            self._begin = self._loop.call_later(POLL_SECONDS, self._take_up)
        else:
            self._look()

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _look(self) -> None:
        file = self._file
        if file is None:
            return
        if file.replaced:
            self._let_go()
            self._take_up()
            return
        found = file.has_commit()
        if found:
            self._found()
        file.pace.go_on(found=found)


class _File:
    """The file that stands under a name now; its pace has it looked at.

    Raises:
        sqlite3.Error: none does.
    """

    def __init__(self, path: Path, *, pace: MakePace, look: Look) -> None:
        self._path = path
        self._identity = identity(path)
        self._known_at = time.monotonic()
        self._version: int | None = None
        # A look that finds it locked is made again, not waited for.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        self._connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)
        self.pace = pace(path, look)

    @property
    def replaced(self) -> bool:
        """Whether another file stands under the name, or none; the disk is not asked each time."""
        now = time.monotonic()
        if now - self._known_at < IDENTITY_SECONDS:
            return False
        self._known_at = now
        return identity(self._path) != self._identity

    def has_commit(self) -> bool:
        """Tell whether another connection has committed since the last look; False if locked."""
        try:
            version = int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            return False
        before, self._version = self._version, version
        return version != before

    def close(self) -> None:
        self.pace.close()
        self._connection.close()
