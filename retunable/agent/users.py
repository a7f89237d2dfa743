"""The secret under which users are hashed, and what is hashed with it.

Read in the background, so that a secret store that is away delays nothing: until it is read
nobody is found in a flag's list, and events name no user.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Final

from retunable.agent.models.secrets import KeySource, read_key
from retunable.config.split import is_usable
from retunable.config.targeting import ListKey
from retunable.errors import ConfigurationError, Unavailable
from retunable.events.pseudonym import pseudonym, scope_of

_log = logging.getLogger("retunable")

FIRST_READ_SECONDS: Final = 2.0
"""How long a start waits for the secret: the first runs are then told and targeted as all others."""
RETRY_SECONDS: Final = 1.0
LAST_RETRY_SECONDS: Final = 30.0


class Users:
    """Hashes the users of one agent; knows none before ``open`` has read the secret."""

    def __init__(self, source: KeySource | None = None) -> None:
        self._source = source
        self._secret: bytes | None = None
        self._said = False
        self.list_key: ListKey | None = None
        """The key of flags' lists."""

    async def open(self, parts: AsyncExitStack) -> None:
        """Read the secret, and go on trying in the background where that fails."""
        if self._source is None:
            return
        reading = asyncio.create_task(self._read(self._source), name="retunable user key")
        parts.callback(reading.cancel)
        await asyncio.wait([reading], timeout=FIRST_READ_SECONDS)

    def take(self, secret: bytes) -> None:
        """Hash under this secret from now on."""
        self._secret, self.list_key = secret, ListKey.of(secret)

    def pseudonym(
        self, user_id: str | None, *, rollout_id: str | None, started_at: datetime
    ) -> str | None:
        """Return what stands for a user in the events of a run; None without user or secret."""
        if user_id is None or not is_usable(user_id):
            return None
        if self._secret is None:
            self._say_once()
            return None
        return pseudonym(self._secret, scope_of(rollout_id, started_at), user_id)

    async def _read(self, source: KeySource) -> None:
        pause = RETRY_SECONDS
        while True:
            try:
                self.take((await read_key(source)).encode())
            except (ConfigurationError, Unavailable) as error:
                _log.warning("users are not hashed yet: %s", error)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_RETRY_SECONDS)

    def _say_once(self) -> None:
        if self._said:
            return
        self._said = True
        _log.warning(
            "runs are told without their users, who count as anonymous in rollouts: %s",
            f"{self._source} is not read yet"
            if self._source
            else "name a secret, DurableAgent(user_key=Secret('secretstore/user-key'))",
        )
