"""``retune control``: the control process in the foreground, with what was named on the command line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from retunable.cli.exits import ExitCode
from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.cli.releasing import release_store, signing_key
from retunable.cli.target import Target, find_store
from retunable.control.process import Control, run_control
from retunable.errors import ConfigurationError
from retunable.release.opening import open_publisher
from retunable.serve.foreground import told_to_end

if TYPE_CHECKING:
    from retunable.release.writer import Publisher

logger = logging.getLogger("retunable")

_NOBODY = Target(agent=None, environment="default", prefix="", document_key=None)


def control(place: Place, *, app_id: str, pubsub: str, output: Output) -> ExitCode:
    """Run until SIGTERM or SIGINT."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logger.setLevel(logging.INFO)
    with release_store(place, missing="make") as store:
        process = Control(
            store=store,
            open_publisher=_publisher(place),
            key=signing_key(place),
            app_id=app_id,
            pubsub=pubsub,
        )
        asyncio.run(_until_told(process))
    output.result({"ended": True, "exit_code": int(ExitCode.OK)})
    return ExitCode.OK


async def _until_told(process: Control) -> None:
    async with told_to_end() as ended:
        await run_control(process, ended)


def _publisher(place: Place) -> Callable[[], Publisher] | None:
    try:
        url = find_store(place.where, _NOBODY)
    except ConfigurationError as error:
        logger.info("publications that are left pending stay so: %s", error)
        return None
    return lambda: open_publisher(url)
