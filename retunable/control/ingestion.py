"""From messages to the release store: each batch one transaction, each kind its handlers.

A handler gets the events of its kind in the order in which they came, some perhaps a second time:
``event_id`` is what counting once goes by. What is no event is told in the log and let go.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from retunable.config.jsontext import JsonTextError, parse_json
from retunable.errors import EventError
from retunable.events.encoding import from_json
from retunable.events.event import Event
from retunable.release.store.database import Transaction
from retunable.release.store.release_store import ReleaseStore

logger = logging.getLogger("retunable")

Handler = Callable[[Transaction, Sequence[Any]], None]
"""Writes the events of one kind; it raises where nothing of the batch may stay."""

Handlers = Mapping[type[Event], Sequence[Handler]]

LONGEST_SHOWN: Final = 200


class Ingestion:
    """Takes messages of ``retunable.events`` into one release store."""

    def __init__(self, store: ReleaseStore, handlers: Handlers) -> None:
        self._store = store
        self._handlers = handlers

    def take(self, messages: Sequence[bytes]) -> int:
        """Write a batch and return how many events it held; all of it is durable then.

        Raises:
            ReleaseStoreError: the store is away or refuses; nothing was written.
        """
        events = [event for message in messages if (event := event_of(message)) is not None]
        handled = [event for event in events if type(event) in self._handlers]
        if handled:
            with self._store.transaction() as work:
                for kind, handlers in self._handlers.items():
                    mine = [event for event in handled if type(event) is kind]
                    for handler in handlers if mine else ():
                        handler(work, mine)
        return len(events)


def event_of(message: bytes) -> Event | None:
    """Read a message; None for one that this package cannot use, which the log says."""
    try:
        # Strict: no NUL and no lone surrogate, for no database takes them.
        return from_json(parse_json(message.decode()))
    except (UnicodeDecodeError, JsonTextError, EventError) as error:
        logger.warning("a message on the topic is no event: %s", str(error)[:LONGEST_SHOWN])
        return None
