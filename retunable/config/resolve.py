"""From a snapshot to the effective config of one caller.

Today every caller gets the stable variant with the overrides above it; who is asking is
part of the signature, so that a canary or a flag needs no new call sites.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retunable.config.agent_config import AgentConfig
from retunable.config.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What one caller gets, and where it comes from.

    ``checksum`` is the effective checksum, ``version_checksum`` that of the version below the
    overrides (None without a release). ``override_keys`` are the field names set by field keys.
    """

    config: AgentConfig
    checksum: str
    revision: int
    variant: str
    version: int | None
    version_checksum: str | None
    generation: int | None
    override_keys: tuple[str, ...]
    flags: tuple[str, ...] = ()


def resolve(
    snapshot: Snapshot,
    *,
    user_id: str | None = None,
    conversation_id: str | None = None,
    attributes: Mapping[str, str] | None = None,
    now: float | None = None,
) -> Effective:
    """Return the effective config of one caller. ``now`` is in seconds since the epoch."""
    del user_id, conversation_id, attributes, now  # no canary or flag is honoured yet
    return Effective(
        config=snapshot.config,
        checksum=snapshot.checksum,
        revision=snapshot.revision,
        variant="stable",
        version=snapshot.version,
        version_checksum=snapshot.version_checksum,
        generation=snapshot.generation,
        override_keys=tuple(snapshot.overrides),
    )
