"""A timer of the event loop that is exact to some microseconds; Linux only (timerfd_create(2)).

The loop's own timers are late by up to a millisecond, for epoll_wait(2) counts in milliseconds.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import time
from collections.abc import Callable
from typing import Any, Final

_NANOSECONDS: Final = 1_000_000_000
_EXPIRATIONS_BYTES: Final = 8


class FineTimer:
    """Calls a function on the running event loop, once after each ``start``.

    Raises:
        OSError: the system gives no such timer, or no more of them.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._system: Any = ctypes.CDLL(None, use_errno=True)
        flags = os.O_NONBLOCK | os.O_CLOEXEC
        self._file = checked(self._system.timerfd_create(time.CLOCK_MONOTONIC, flags))
        self._loop.add_reader(self._file, self._expired)

    def start(self, seconds: float) -> None:
        """Call after so long, and no longer when an earlier ``start`` said."""
        whole, nanoseconds = divmod(max(1, round(seconds * _NANOSECONDS)), _NANOSECONDS)
        once = struct.pack("@4l", 0, 0, whole, nanoseconds)  # struct itimerspec: interval, value
        checked(self._system.timerfd_settime(self._file, 0, once, None))

    def close(self) -> None:
        """Call no more."""
        self._loop.remove_reader(self._file)
        os.close(self._file)

    def _expired(self) -> None:
        try:
            os.read(self._file, _EXPIRATIONS_BYTES)
        except BlockingIOError:  # started again since
            return
        self._call()


def checked(result: int) -> int:
    """Return what a function of the C library gave.

    Raises:
        OSError: it failed.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
