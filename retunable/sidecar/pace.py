"""When to look at a file again: soon after somebody wrote to it, else now and then.

Linux tells of writes (inotify(7)); elsewhere, and where the system has no more watches to give, a
timer. Being told is a hint: whether anything was committed is for the looker to find out.
"""

from __future__ import annotations

import ctypes
import logging
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 0.05
"""How often a file is looked at of which nothing is told: a write may come from elsewhere."""
POLL_SECONDS: Final = 0.005
"""Without being told: a write is noticed after 2.5 ms on average, for about 1 % of a core."""

# SQLite writes to its log, waits for the disk and then commits, which no system tells of: the look
# is repeated, first at once and then ever more slowly, so that it is late by a tenth of the time
# that the disk took. Fifty looks in all, for what a disk may take.
_FIRST_SECONDS: Final = 0.0001
_LATE_BY: Final = 0.1
_EAGER_FOR_SECONDS: Final = 0.05

_IN_MODIFY, _IN_MOVED_TO, _IN_CREATE, _IN_Q_OVERFLOW = 0x2, 0x80, 0x100, 0x4000
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
        self._told_at = -_EAGER_FOR_SECONDS
        self._found = False
        system = ctypes.CDLL(None, use_errno=True)
        self._file = _checked(system.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        # The folder: a log that is deleted and begun anew is another file.
        mask = _IN_MODIFY | _IN_MOVED_TO | _IN_CREATE
        try:
            _checked(system.inotify_add_watch(self._file, os.fsencode(path.parent), mask))
        except OSError:
            self.close()
            raise
        self._events = select.poll()
        self._events.register(self._file, select.POLLIN)

    def wait(self, *, found: bool) -> None:
        """Return as soon as the file was written to, or when a commit may follow such a write.

        A second writer may have begun before the first one's commit was found, and is told of only
        once: so the looks go on, in no hurry, after one that has found something.
        """
        self._found = self._found or found
        since_told = time.monotonic() - self._told_at
        if since_told < _EAGER_FOR_SECONDS:
            self._look_again_after(since_told)
        elif self._is_told(self._idle_seconds):
            self._told_at, self._found = time.monotonic(), False

    def close(self) -> None:
        os.close(self._file)

    def _look_again_after(self, since_told: float) -> None:
        if not self._found:
            time.sleep(max(_FIRST_SECONDS, _LATE_BY * since_told))
        elif self._is_told(POLL_SECONDS):
            self._told_at, self._found = time.monotonic(), False

    def _is_told(self, within_seconds: float) -> bool:
        """Wait until this file was written to; what is told of others in the folder is passed over."""
        until = time.monotonic() + within_seconds
        while (left := until - time.monotonic()) > 0 and self._events.poll(1000 * left):
            with suppress(BlockingIOError):
                if any(_is_about(self._name, *event) for event in _events(self._read())):
                    return True
        return False

    def _read(self) -> bytes:
        return os.read(self._file, _READ_BYTES)


def pace_for(
    path: Path, *, poll_seconds: float = POLL_SECONDS, platform: str = sys.platform
) -> Told | Timed:
    """Return the best pace for a file; ``poll_seconds`` is the timer's."""
    if platform == "linux":
        try:
            return Told(path)
        except OSError as error:
            log.warning(
                "action=polling file=%s: this system tells of no writes to it (%s), so it is "
                "looked at every %g ms; raise fs.inotify.max_user_instances, max_user_watches or "
                "the limit of open files, whichever that names",
                path,
                error.strerror,
                1000 * poll_seconds,
            )
    return Timed(poll_seconds)


def _events(told: bytes) -> Iterator[tuple[int, bytes]]:
    """Give mask and file name of each event, as inotify(7) lays them out."""
    at = 0
    while at + _NAME_AT <= len(told):
        mask = int.from_bytes(told[at + 4 : at + 8], sys.byteorder)
        length = int.from_bytes(told[at + _NAME_AT - 4 : at + _NAME_AT], sys.byteorder)
        at += _NAME_AT
        yield mask, told[at : at + length].rstrip(b"\0")
        at += length


def _is_about(name: bytes, mask: int, told: bytes) -> bool:
    """Tell whether an event may be about a file or its log: after too many, nobody knows."""
    return bool(mask & _IN_Q_OVERFLOW) or told.startswith(name)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
