"""What runs now as one config: the published version with every override above it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retunable.config.build import build
from retunable.release.publishing.site import ControlPlane, Site


@dataclass(frozen=True, slots=True)
class Captured:
    """A complete config by field name; ``overrides`` are the fields that overrides set.

    ``version`` is the release below, None where the program's own values are.
    """

    config: Mapping[str, Any]
    version: int | None
    overrides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotCaptured:
    """The stores alone do not say what runs."""

    reason: str


def capture(plane: ControlPlane, site: Site) -> Captured | NotCaptured:
    """Return what agents make of what stands at a site.

    Where no release is published, the code defaults of the program are below, and only the running
    agent knows them. Raises StoreWriteError where the store cannot be read.
    """
    declaration = site.declaration
    items = plane.publisher.read(declaration.keys)
    with plane.store.snapshot() as work:
        now = work.now.timestamp()
    snapshot = build(declaration, items, store=plane.publisher.kind, now=now).snapshot
    if snapshot.rejected:
        first = snapshot.rejected[0]
        return NotCaptured(f"{first.key} is refused by agents: {first.reason}")
    if snapshot.version is None:
        return NotCaptured(
            f"no release of {site.agent} is published in {site.environment}, and only its running "
            "process knows the program's own values; start it, or save a file"
        )
    config = snapshot.config.to_json()
    if config["tools"] is None:
        return NotCaptured("an override asks for all tools; name them as a list first")
    return Captured(config, snapshot.version, tuple(snapshot.overrides))
