"""When to look at a file again: soon after somebody wrote to it, else now and then.

Linux tells of writes (inotify(7)); elsewhere, and where the system has no more watches to give, a
timer. Being told is a hint: whether anything was committed is for the looker to find out. All of it
on the running event loop.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from retunable.sidecar.fine_timer import FineTimer, checked

log = logging.getLogger(__name__)

Look = Callable[[], None]

IDLE_SECONDS: Final = 0.05
"""How often a file is looked at of which nothing is told: a write may come from elsewhere."""
POLL_SECONDS: Final = 0.005
"""Without being told: a write is noticed after 2.5 ms on average, for about 1 % of a core."""

# SQLite writes to its log, waits for the disk and then commits, which no system tells of: the look
# is repeated, first at once and then ever more slowly, so that it is late by a tenth of the time
# that the disk took, and by the idle pause at most. Fifty milliseconds after the last write, for
# what a disk may take.
_FIRST_SECONDS: Final = 0.00005
_LATE_BY: Final = 0.1
_EAGER_FOR_SECONDS: Final = 0.05

_IN_MODIFY, _IN_MOVED_TO, _IN_CREATE, _IN_Q_OVERFLOW = 0x2, 0x80, 0x100, 0x4000
_READ_BYTES: Final = 65_536
_NAME_AT: Final = 16
"""Where the name begins in an event: after watch, mask, cookie and length, 4 bytes each."""


class Pace(Protocol):
    """Has a file looked at, again and again."""

    def go_on(self, *, found: bool) -> None:
        """Plan the next look; ``found`` tells what the last one gave."""

    def close(self) -> None:
        """Have it looked at no more."""


class Timed:
    """Has it looked at again after always the same time."""

    def __init__(self, look: Look, *, seconds: float) -> None:
        self._look = look
        self._seconds = seconds
        self._next: asyncio.TimerHandle | None = None

    def go_on(self, *, found: bool) -> None:
        del found
        self._next = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def close(self) -> None:
        if self._next is not None:
            self._next.cancel()


class Told:
    """Has it looked at when it, or its log beside it, is written to.

    Raises:
        OSError: the system does not tell.
    """

    def __init__(self, path: Path, look: Look, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._name = os.fsencode(path.name)
        self._look = look
        self._idle_seconds = idle_seconds
        self._told_at = self._eager_since = -_EAGER_FOR_SECONDS
        self._found = False
        self._loop = asyncio.get_running_loop()
        system = ctypes.CDLL(None, use_errno=True)
        self._file = checked(system.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        # The folder: a log that is deleted and begun anew is another file.
        mask = _IN_MODIFY | _IN_MOVED_TO | _IN_CREATE
        try:
            checked(system.inotify_add_watch(self._file, os.fsencode(path.parent), mask))
            self._timer = FineTimer(look)
        except OSError:
            os.close(self._file)
            raise
        self._loop.add_reader(self._file, self._hear)

    def go_on(self, *, found: bool) -> None:
        """Plan the next look: soon while a commit may follow a write.

        A second writer may have begun before the first one's commit was found, and is told of only
        once: so the looks go on, in no hurry, after one that has found something.
        """
        self._found = self._found or found
        self._timer.start(self._pause_seconds(time.monotonic()))

    def close(self) -> None:
        self._timer.close()
        self._loop.remove_reader(self._file)
        os.close(self._file)

    def _pause_seconds(self, now: float) -> float:
        if now - self._told_at >= _EAGER_FOR_SECONDS:
            return self._idle_seconds
        if self._found:
            return POLL_SECONDS
        return eager_seconds(now - self._eager_since, idle_seconds=self._idle_seconds)

    def _hear(self) -> None:
        """Have this file looked at; what is told of others in the folder is passed over."""
        if not any(_is_about(self._name, *event) for event in _events(self._read())):
            return
        now = time.monotonic()
        if self._found or now - self._told_at >= _EAGER_FOR_SECONDS:
            self._eager_since = now  # and not at each step of a write that takes long
        self._told_at, self._found = now, False
        self._look()

    def _read(self) -> bytes:
        with suppress(BlockingIOError):
            return os.read(self._file, _READ_BYTES)
        return b""


def eager_seconds(since_first_write: float, *, idle_seconds: float) -> float:
    """Return the pause before the next look while a commit may follow.

    A transaction can write for many seconds, with looks no rarer than those at an idle file.
    """
    return min(max(_FIRST_SECONDS, _LATE_BY * since_first_write), idle_seconds)


def pace_for(
    path: Path,
    look: Look,
    *,
    poll_seconds: float = POLL_SECONDS,
    platform: str = sys.platform,
) -> Told | Timed:
    """Return the best pace for a file; ``poll_seconds`` is the timer's."""
    if platform == "linux":
        try:
            return Told(path, look)
        except OSError as error:
            log.warning(
                "action=polling file=%s: this system tells of no writes to it (%s), so it is "
                "looked at every %g ms; raise fs.inotify.max_user_instances, max_user_watches or "
                "the limit of open files, whichever that names",
                path,
                error.strerror,
                1000 * poll_seconds,
            )
    return Timed(look, seconds=poll_seconds)


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
