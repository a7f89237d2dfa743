"""``retune control`` that dies or stops itself at a named point of an activation: POINT and SIGNAL."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from itertools import count

from retunable.control.process import Control, run_control
from retunable.release.opening import open_publisher
from retunable.release.store.points import Point
from retunable.release.store.release_store import open_release_store
from retunable.release.store_url import StoreURL

passed = count(1)


def reached(point: Point) -> None:
    if point.value == os.environ["POINT"] and next(passed) == 1:
        # To this thread: a stop that is sent to the process begins with its main thread, and this
        # one went past its point in 163 of 200 tries on a busy machine, some of them into a
        # transaction, whose lock it then held.
        signal.pthread_kill(threading.get_ident(), signal.Signals[os.environ["SIGNAL"]])


async def main() -> None:
    url = StoreURL.parse(os.environ["STORE"])
    with open_release_store(os.environ["RELEASES"], reached=reached) as store:
        control = Control(store=store, open_publisher=lambda: open_publisher(url))
        await run_control(control, asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main())
