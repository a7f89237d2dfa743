"""Where the analysis of each rollout stood: one row, replaced whole, worked out again where missing.

What it holds is its writer's; it is written in a transaction in which the writer has read all rows
up to ``arrived``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from retunable.release.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What stood after the row ``arrived``."""

    arrived: int
    data: Mapping[str, Any]


def checkpoint(work: Transaction, rollout: str) -> Checkpoint | None:
    """Return where the analysis of a rollout stood last; None where nobody kept it."""
    row = work.first("checkpoint", id=rollout)
    return None if row is None else Checkpoint(row.arrived, json.loads(row.data))


def keep(work: Transaction, rollout: str, kept: Checkpoint) -> None:
    """Keep where an analysis stands, in place of where it stood."""
    work.run("add_checkpoint", id=rollout, arrived=kept.arrived, data=to_json(kept.data).decode())
