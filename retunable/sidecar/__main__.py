"""`python -m retunable.sidecar`: one sidecar in the foreground, until it is told to end.

Its first line on standard output is JSON: that it is ready and on which ports, or why not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from retunable.errors import DataUnusable, RetunableError
from retunable.sidecar.files import DEFAULT_DATA_DIR
from retunable.sidecar.parent import end_with_parent
from retunable.sidecar.server import EmbeddedSidecar
from retunable.sidecar.settings import SidecarSettings

log = logging.getLogger("retunable.sidecar")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT, Shutdown or the parent's end; returns the exit code."""
    options = _options(arguments)
    logging.basicConfig(
        stream=sys.stderr,
        level=options.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    settings = SidecarSettings(
        app_id=options.app_id,
        data_dir=options.data_dir,
        resources_path=options.resources_path,
        grpc_port=options.grpc_port,
        http_port=options.http_port,
    )
    try:
        asyncio.run(_serve(settings, parent_pid=options.parent_pid))
    except DataUnusable as error:
        return _refuse(f"{error}; or name another folder with --data-dir")
    except RetunableError as error:
        return _refuse(str(error))
    return 0


def _refuse(why: str) -> int:
    log.error("action=refused %s", why)
    _tell({"ready": False, "error": why})
    return 1


async def _serve(settings: SidecarSettings, *, parent_pid: int | None) -> None:
    sidecar = EmbeddedSidecar(settings, api_token=os.environ.get("DAPR_API_TOKEN") or None)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, sidecar.ask_to_stop)
    if parent_pid is not None:
        end_with_parent(parent_pid, stop=partial(_call, loop, sidecar.ask_to_stop))
    async with sidecar:
        _tell(
            {
                "ready": True,
                "grpc_port": sidecar.grpc_port,
                "http_port": sidecar.http_port,
                "data_dir": str(settings.data_dir.resolve()),
                "stood_in": [str(component) for component in sidecar.resources.stood_in],
                "left_out": [str(component) for component in sidecar.resources.left_out],
            }
        )
        await sidecar.wait_until_asked_to_stop()
        log.info("action=stopping app_id=%s", settings.app_id)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Call a function of the loop from another thread; a closed loop has ended already."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function)


def _tell(fact: dict[str, object]) -> None:
    """Write one line; whoever started us may read no more of them."""
    try:
        sys.stdout.write(json.dumps(fact) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        log.warning("action=untold nobody reads standard output")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m retunable.sidecar",
        description="Dapr's API on SQLite, for one machine; for more take Dapr.",
    )
    parser.add_argument("--app-id", required=True, help="whose sidecar this is")
    parser.add_argument("--grpc-port", type=int, default=0, help="0: any free one")
    parser.add_argument("--http-port", type=int, default=0, help="0: any free one")
    parser.add_argument("--data-dir", type=Path, default=DEFAULT_DATA_DIR)
    parser.add_argument("--resources-path", type=Path, help="Dapr component files")
    parser.add_argument("--parent-pid", type=int, help="end when this process is gone")
    parser.add_argument(
        "--log-level", default="info", choices=["debug", "info", "warning", "error"]
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
