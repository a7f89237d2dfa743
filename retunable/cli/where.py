"""What a person named on the command line about agent and store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """None where they left it to us."""

    agent: str | None = None
    environment: str | None = None
    prefix: str | None = None
    store: str | None = None
    resources: Path = Path("resources")
    component: str | None = None
