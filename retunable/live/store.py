"""The seam to a configuration store: what the live room asks of it, and how it may fail.

An adapter ends every call within its own deadline and maps foreign errors to ``StoreFailure``;
what to read, when to subscribe and what a failure means is decided by others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, assert_never

from retunable.config.items import Item, StoreKind
from retunable.errors import RetunableError, Unavailable


class FailureKind(Enum):
    """Why a call to the store did not answer."""

    STORE_UNREACHABLE = "store_unreachable"
    COMPONENT_ABSENT = "component_absent"
    SIDECAR_UNREACHABLE = "sidecar_unreachable"
    DEADLINE = "deadline"
    POISONED = "poisoned"


class StoreFailure(Unavailable):
    """A call to the store failed; ``POISONED`` means that one of the values cannot be read."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail, part=_part(kind))
        self.kind = kind
        self.detail = detail


class TokenRefused(StoreFailure):
    """The sidecar is there and takes no call of this program; waiting for it does not help."""

    def __init__(self, detail: str) -> None:
        super().__init__(FailureKind.SIDECAR_UNREACHABLE, detail)


class StreamEnded(RetunableError):
    """A stream of hints ended by itself; a clean end says so too (a daprd that was told to stop)."""


@dataclass(frozen=True, slots=True)
class StoreDescription:
    """What stands behind the name of the store; ``present`` is False for a missing component."""

    kind: StoreKind
    present: bool
    app_id: str


class HintStream(Protocol):
    """An open subscription, listening or about to: the store's id message has come."""

    async def hint(self) -> frozenset[str]:
        """Return the keys of the next message, whose values are not to be believed.

        Raises:
            StreamEnded: the stream is over, for whatever reason.
        """

    def cancel(self) -> None:
        """End the stream; safe to call twice."""


class ConfigurationStore(Protocol):
    """One configuration store, seen from a running agent."""

    @property
    def address(self) -> str:
        """Where the store is; agents with equal addresses share one stream."""

    async def get(self, keys: Sequence[str]) -> Mapping[str, Item]:
        """Return the items of ``keys`` (never empty); an absent key is left out.

        On Redis the keys are read one after the other, in the order given.

        Raises:
            StoreFailure: no answer, or one of the values is poisoned.
        """

    async def subscribe(self, keys: Sequence[str]) -> HintStream:
        """Open a stream of hints for ``keys``.

        Raises:
            StoreFailure: the stream could not be opened.
        """

    async def describe(self) -> StoreDescription:
        """Say what the store is.

        Raises:
            StoreFailure: nobody answers.
        """

    async def close(self) -> None:
        """Let go of every connection."""


def _part(kind: FailureKind) -> str:
    match kind:
        case FailureKind.SIDECAR_UNREACHABLE:
            return "sidecar"
        case FailureKind.COMPONENT_ABSENT:
            return "component"
        case FailureKind.STORE_UNREACHABLE | FailureKind.DEADLINE | FailureKind.POISONED:
            return "configuration store"
        case _:
            assert_never(kind)
