"""One agent on the embedded sidecar and on daprd, both with their state in SQLite, turn by turn.

The floor is the agent on daprd. Its model and tools answer at once inside the process.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from bench.rig import Subject, environment
from bench.series import Comparison, Outcome, Series
from dev.embedded import EmbeddedStack
from dev.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MILLISECOND: Final = 0.001
WARM_UP_ROUNDS: Final = 2
ALONGSIDE: Final = 20
# What is ordered, in words, and how often.
FULL: Final = (
    ("run 1", "run with 1 model call", 60),
    ("run 31", "run with 31 model calls, 30 tool calls", 8),
    (f"many {ALONGSIDE}", f"{ALONGSIDE} runs with 1 model call at once", 12),
)
QUICK_ROUNDS: Final = 3
ORDER_SECONDS: Final = 120.0


def measure(directory: Path, *, quick: bool) -> Outcome:
    """Have each side run the same turns, one side after the other."""
    stacks: dict[str, Stack | EmbeddedStack] = {
        "daprd": Stack.redis(directory / "daprd", app_id="offline", state="sqlite"),
        "embedded": EmbeddedStack(directory / "embedded", app_id="offline"),
    }
    with ExitStack() as stack:
        subjects: dict[str, Subject] = {}
        for name, side in stacks.items():
            stack.enter_context(side)
            subject = Subject(
                "bench.subjects.offline", side.directory / "subject", environment(side.environment)
            )
            subjects[name] = stack.enter_context(subject)
        for subject in subjects.values():
            subject.told()
        return Outcome(
            comparisons=tuple(
                _compare(subjects, order, quantity, rounds=QUICK_ROUNDS if quick else rounds)
                for order, quantity, rounds in FULL
            )
        )


def _compare(
    subjects: Mapping[str, Subject], order: str, quantity: str, *, rounds: int
) -> Comparison:
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(WARM_UP_ROUNDS + rounds):
        for name, subject in subjects.items():
            seconds = float(subject.order(order, within_seconds=ORDER_SECONDS)["seconds"])
            if number >= WARM_UP_ROUNDS:
                taken[name].append(seconds / MILLISECOND)
    return Comparison(
        measure="beside-daprd",
        quantity=quantity,
        unit="ms",
        floor=Series(tuple(taken["daprd"])),
        ours=Series(tuple(taken["embedded"])),
        most_times_floor=1.0,
    )
