"""What a run needs of the sidecar, read from its metadata: who is missing, by name. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from retunable.errors import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarParts:
    """The parts behind a sidecar, as it says itself; the state store by its component name."""

    placement: bool
    scheduler: bool
    state_store: str | None
    workers: int

    def missing(self) -> Unavailable | None:
        """Return the first part that a run cannot do without, or None."""
        if self.state_store is None:
            return Unavailable(
                "the sidecar has no actor state store: load a state component with "
                'actorStateStore: "true"',
                part="state store",
            )
        if not self.placement:
            return Unavailable(
                "the sidecar is not connected to Dapr's placement service; start it "
                "(port 50005 by default)",
                part="placement",
            )
        if not self.scheduler:
            return Unavailable(
                "the sidecar is not connected to Dapr's scheduler service; start it "
                "(port 50006 by default)",
                part="scheduler",
            )
        if self.workers < 1:
            return Unavailable(
                "this agent's workflow worker is not connected to the sidecar yet; "
                "it reconnects by itself. Where that takes more than half a minute, restart the "
                "sidecar: Dapr 1.18.2 can lock itself up when its last worker goes",
                part="sidecar",
            )
        return None
