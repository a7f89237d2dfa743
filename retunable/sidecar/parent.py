"""Notices that the parent process is gone, also by kill -9, on Linux and on macOS.

By asking for the parent's id: a death signal (Linux alone) comes when the thread that started the
child ends, and the end of a pipe is hidden by any other process that has inherited it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final

POLL_SECONDS: Final = 0.2
END_SECONDS: Final = 5.0


def end_with_parent(
    parent_pid: int,
    *,
    stop: Callable[[], None],
    poll_seconds: float = POLL_SECONDS,
    end_seconds: float = END_SECONDS,
) -> None:
    """Call ``stop`` from a thread when the parent is gone; end the process if that takes too long."""

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(poll_seconds)
        stop()
        time.sleep(end_seconds)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
