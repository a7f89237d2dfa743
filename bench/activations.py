"""An activation or a rollback → applied on a live agent, beside the propagation of a plain document.

Redis and the embedded sidecar have their release store in SQLite; on PostgreSQL both are one database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.rig import Subject, environment
from bench.series import Comparison, Outcome, Series
from dev.embedded import EmbeddedStack
from dev.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MOST_TIMES_FLOOR: Final = 5.0
MOST_P99_MILLISECONDS: Final = 1000.0
CASE_SECONDS: Final = 300.0


def measure(directory: Path, *, quick: bool) -> Outcome:
    """Take 200 turns on each backend, every fourth of them a rollback."""
    turns = 20 if quick else 200
    stacks = (
        EmbeddedStack(directory / "embedded"),
        Stack.redis(directory / "redis"),
        Stack.postgres(directory / "postgresql"),
    )
    comparisons = []
    for stack in stacks:
        with stack:
            subject = Subject(
                "bench.subjects.activated",
                stack.directory / "subject",
                environment(stack.environment),
                str(turns),
            )
            with subject:
                seconds = subject.told(within_seconds=CASE_SECONDS)
        comparisons.append(
            Comparison(
                measure="activations",
                quantity=f"{stack.backend}: activate or roll back → applied",
                unit="ms",
                floor=_milliseconds(seconds["floor"]),
                ours=_milliseconds(seconds["ours"]),
                most_times_floor=MOST_TIMES_FLOOR,
                most_p99=MOST_P99_MILLISECONDS,
            )
        )
    return Outcome(comparisons=tuple(comparisons))


def _milliseconds(seconds: Iterable[float]) -> Series:
    return Series(tuple(value * 1000 for value in seconds))
