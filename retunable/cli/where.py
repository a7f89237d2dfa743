"""What a person named on the command line about agent and store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT_RESOURCES: Final = Path("resources")


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """None where they left it to us."""

    agent: str | None = None
    environment: str | None = None
    prefix: str | None = None
    store: str | None = None
    resources: Path = DEFAULT_RESOURCES
    component: str | None = None

    @property
    def names_files(self) -> bool:
        """Whether they named component files other than those that lie there anyway."""
        return self.resources != DEFAULT_RESOURCES
