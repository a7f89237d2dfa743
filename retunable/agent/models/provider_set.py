"""The providers of one agent: opened when first used, and what they last refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from retunable.agent.models.model import ModelProvider, ModelReply, ModelRequest
from retunable.agent.retry import RetryPolicy, call_with_retries
from retunable.errors import ConfigurationError, ProviderRefused

_log = logging.getLogger("retunable")


class ProviderSet:
    """Model providers by name; ``refusal`` is what keeps the present one from serving."""

    def __init__(
        self,
        providers: Mapping[str, ModelProvider],
        *,
        on_refusal: Callable[[], None],
        retries: RetryPolicy | None = None,
    ) -> None:
        self._providers = dict(providers)
        self._retries = retries or RetryPolicy()
        self._opened: set[str] = set()
        self._on_refusal = on_refusal
        self._refusal: str | None = None

    @property
    def refusal(self) -> str | None:
        """What the last refused call said; None again once a call works or the config changes."""
        return self._refusal

    async def open(self, name: str) -> None:
        """Open one provider; what it raises about a missing key goes through."""
        if name not in self._opened:
            await self._providers[name].open()
            self._opened.add(name)

    async def complete(self, name: str, request: ModelRequest) -> ModelReply:
        """Call a model of one provider, again where the failure may pass.

        Raises:
            ProviderRefused: also where the provider's key is missing.
            ProviderFailed: the call did not work, also not when tried again.
        """
        try:
            await self.open(name)
        except ConfigurationError as error:
            raise ProviderRefused(f"cannot be used: {error}", setting="key") from error
        provider = self._providers[name]
        return await call_with_retries(lambda: provider.complete(request), policy=self._retries)

    def note_refusal(self, text: str | None) -> None:
        """Remember a refusal, or with None that there is none any more."""
        if text == self._refusal:
            return
        if text is not None:
            _log.error("%s", text)
        self._refusal = text
        self._on_refusal()

    def warm_up(self) -> None:
        """Do the slow imports of the opened providers; for a background thread."""
        for name in sorted(self._opened):
            self._providers[name].warm_up()

    async def close(self) -> None:
        """Close every provider that was opened."""
        opened, self._opened = self._opened, set()
        for name in opened:
            await self._providers[name].close()
