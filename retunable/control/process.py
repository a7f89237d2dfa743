"""One life of ``retune control``: what it is made of, started in order and stopped in reverse.

What it does with events is in ``HANDLERS``; rollouts are followed beside, on its event loop and with
its sidecar.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from retunable.agent.own_sidecar import a_sidecar
from retunable.control import direct_writes
from retunable.control.ingestion import Handlers, Ingestion
from retunable.control.intake import Intake, Patience
from retunable.control.outbox import Outbox
from retunable.control.rollouts.companion import controlling_rollouts
from retunable.control.rollouts.controller import Controller
from retunable.control.subscription import Subscription
from retunable.control.upkeep import Upkeep
from retunable.errors import Unavailable
from retunable.events.event import (
    PUBSUB,
    TOPIC,
    Exposure,
    Feedback,
    Heartbeat,
    ObservedChange,
    Outcome,
)
from retunable.live.subscription import Timings
from retunable.live.supervision import SupervisedTask
from retunable.release.signing import SigningKey
from retunable.release.store import replicas, run_events
from retunable.release.store.release_store import ReleaseStore
from retunable.release.writer import Publisher

logger = logging.getLogger("retunable")

APP_ID: Final = "retunable-control"
STOP_SECONDS: Final = 5.0

HANDLERS: Final[Handlers] = {
    Heartbeat: (replicas.take,),
    ObservedChange: (direct_writes.take,),
    Exposure: (run_events.take_exposures,),
    Outcome: (run_events.take_outcomes,),
    Feedback: (run_events.take_feedback,),
}
"""What is written of each kind of event, in this order and in one transaction."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """What the process works with.

    ``open_publisher`` connects to the configuration store that publications are finished on, None
    where nobody named one.
    """

    store: ReleaseStore
    open_publisher: Callable[[], Publisher] | None = None
    key: SigningKey | None = None
    app_id: str = APP_ID
    pubsub: str = PUBSUB
    upkeep_seconds: float = 5.0
    patience: Patience = field(default_factory=Patience)


async def run_control(control: Control, ended: asyncio.Event) -> None:
    """Serve until ``ended`` is set or a part of it cannot be kept alive.

    Raises:
        Unavailable: no embedded sidecar came up where none is named, or a part died for good.
    """
    died: list[str] = []

    def dead(name: str) -> None:
        died.append(name)
        ended.set()

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(a_sidecar(app_id=control.app_id))
        if (controller := _controller(control)) is not None:
            await stack.enter_async_context(controlling_rollouts(controller))
        upkeep = SupervisedTask(
            "control upkeep", _upkeep(control).run, timings=Timings(), on_death=dead
        )
        stack.push_async_callback(upkeep.stop)
        subscription = Subscription(pubsub=control.pubsub, topic=TOPIC)
        stack.push_async_callback(subscription.close)
        intake = Intake(subscription, Ingestion(control.store, HANDLERS), patience=control.patience)
        taking = asyncio.create_task(intake.run(), name="retunable control intake")
        taking.add_done_callback(lambda _: ended.set())
        logger.info("%s takes events into %s", control.app_id, control.store.describe())
        await ended.wait()
        intake.stop()
        await asyncio.wait([taking], timeout=STOP_SECONDS)
        _raise_what_died(taking, died)


def _raise_what_died(taking: asyncio.Task[None], died: Sequence[str]) -> None:
    if not taking.done():
        logger.warning("what is being written is not waited for any longer; it comes again")
        taking.cancel()
    elif taking.exception() is not None:
        taking.result()
    if died:
        raise Unavailable(f"{died[0]} cannot be kept alive; the log says why", part="component")


def _controller(control: Control) -> Controller | None:
    if control.open_publisher is None:
        logger.warning("rollouts are not controlled: no configuration store is named")
        return None
    return Controller(store=control.store, open_publisher=control.open_publisher, key=control.key)


def _upkeep(control: Control) -> Upkeep:
    outbox = control.open_publisher and Outbox(
        control.store, control.open_publisher, key=control.key
    )
    return Upkeep(control.store, outbox, every_seconds=control.upkeep_seconds)
