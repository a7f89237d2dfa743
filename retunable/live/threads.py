"""A daemon thread of its own for a call that blocks: callbacks, files, tools, the SDK's shutdown.

A call that hangs in one cannot hold up the end of the process, which joins every thread of
``concurrent.futures`` and of ``asyncio.to_thread``.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def run_in_daemon_thread(call: Callable[[], Result], *, name: str) -> Result:
    """Run ``call`` in a thread of its own; return what it returns or raise what it raises.

    If the caller is cancelled the thread goes on and its result is dropped.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()
    context = contextvars.copy_context()
    work = (_work, call, loop, done)
    threading.Thread(target=context.run, args=work, name=name, daemon=True).start()
    return await done


def _work(
    call: Callable[[], Any], loop: asyncio.AbstractEventLoop, done: asyncio.Future[Any]
) -> None:
    result: Any = None
    error: BaseException | None = None
    try:
        result = call()
    except BaseException as raised:  # noqa: BLE001 - whatever it raises belongs to the caller
        error = raised
    try:
        loop.call_soon_threadsafe(_settle, done, result, error)
    except RuntimeError:
        return  # the loop was closed while the call ran: nobody waits any more


def _settle(done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    elif isinstance(error, StopIteration | SystemExit | KeyboardInterrupt):
        # A future cannot carry the first, and the others must not end the agent's loop.
        done.set_exception(RuntimeError(f"raised {error!r}"))
    else:
        done.set_exception(error)
