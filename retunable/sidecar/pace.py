"""When to look at a file again: soon after somebody wrote to it, else now and then.

Linux tells of writes (inotify(7)); elsewhere, and on a file system that does not tell, a timer.
"""

from __future__ import annotations

import ctypes
import os
import select
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, Self

IDLE_SECONDS: Final = 0.05
"""How often a file is looked at of which nothing is told: a write may come from elsewhere."""
EAGER_SECONDS: Final = 0.0003
EAGER_FOR_SECONDS: Final = 0.05
"""SQLite writes to its log, waits for the disk and then commits: the look comes too early at first."""

_IN_MODIFY, _IN_MOVED_TO, _IN_CREATE = 0x2, 0x80, 0x100
_READ_BYTES: Final = 65_536
_NAME_AT: Final = 16
"""Where the name begins in an event: after watch, mask, cookie and length, 4 bytes each."""


class Pace(Protocol):
    """Waits between two looks."""

    def wait(self, *, found: bool) -> None:
        """Return when it is time to look again; ``found`` tells what the last look gave."""

    def close(self) -> None:
        """Free what it holds."""


class Timed:
    """Looks again and again after the same time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def wait(self, *, found: bool) -> None:
        del found
        time.sleep(self._seconds)

    def close(self) -> None:
        """Hold nothing."""


class Told:
    """Looks when a file, or its log beside it, is written to.

    Raises:
        OSError: the system does not tell.
    """

    def __init__(self, path: Path, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._name = os.fsencode(path.name)
        self._idle_seconds = idle_seconds
        self._eager_until = 0.0
        system = ctypes.CDLL(None, use_errno=True)
        self._file = _checked(system.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        mask = _IN_MODIFY | _IN_MOVED_TO | _IN_CREATE
        try:
            _checked(system.inotify_add_watch(self._file, os.fsencode(path.parent), mask))
        except OSError:
            self.close()
            raise
        self._events = select.poll()
        self._events.register(self._file, select.POLLIN)

    @classmethod
    def where_possible(cls, path: Path, *, otherwise: float) -> Self | Timed:
        """Return the best pace for a file; ``otherwise`` is the timer's, in seconds."""
        if sys.platform == "linux":
            with suppress(OSError):
                return cls(path)
        return Timed(otherwise)

    def wait(self, *, found: bool) -> None:
        if found:
            self._eager_until = 0.0
        if time.monotonic() < self._eager_until:
            time.sleep(EAGER_SECONDS)
        elif self._is_told(self._idle_seconds):
            self._eager_until = time.monotonic() + EAGER_FOR_SECONDS

    def close(self) -> None:
        os.close(self._file)

    def _is_told(self, seconds: float) -> bool:
        """Wait until something is told of the folder; tell whether it was this file."""
        if not self._events.poll(1000 * seconds):
            return False
        with suppress(BlockingIOError):
            return any(name.startswith(self._name) for name in _names(self._read()))
        return False

    def _read(self) -> bytes:
        return os.read(self._file, _READ_BYTES)


def _names(events: bytes) -> list[bytes]:
    """Return the file names of events as inotify(7) lays them out."""
    names, at = [], 0
    while at + _NAME_AT <= len(events):
        length = int.from_bytes(events[at + _NAME_AT - 4 : at + _NAME_AT], sys.byteorder)
        at += _NAME_AT
        names.append(events[at : at + length].rstrip(b"\0"))
        at += length
    return names


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    return result
