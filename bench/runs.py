"""A plain run: one model call, then twelve with a tool call between; both sides are warm.

The floor calls the same model server from one activity for each model or tool call.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from bench.rig import SIDES, Side, Subject, redis_rig
from bench.series import Comparison, Outcome, Series

if TYPE_CHECKING:
    from pathlib import Path

WARM_UP_RUNS: Final = 5
MILLISECOND: Final = 0.001
# Steps and how many runs of them.
FULL: Final = ((1, 200), (12, 40))
QUICK: Final = ((1, 10), (12, 4))


def measure(directory: Path, *, quick: bool) -> Outcome:
    """Have each side run the same turns, one side after the other, turn by turn."""
    with redis_rig(directory) as rig, ExitStack() as stack:
        subjects = {side: stack.enter_context(rig.subject(side)) for side in SIDES}
        for subject in subjects.values():
            subject.told()
        return Outcome(
            comparisons=tuple(
                _compare(subjects, steps, rounds) for steps, rounds in (QUICK if quick else FULL)
            )
        )


def _compare(subjects: dict[Side, Subject], steps: int, rounds: int) -> Comparison:
    seconds: dict[Side, list[float]] = {"floor": [], "ours": []}
    for number in range(WARM_UP_RUNS + rounds):
        for side in SIDES:
            taken = float(subjects[side].order(f"run {steps}")["seconds"])
            if number >= WARM_UP_RUNS:
                seconds[side].append(taken / MILLISECOND)
    calls = "1 model call" if steps == 1 else f"{steps} model calls, {steps - 1} tool calls"
    return Comparison(
        measure="runs",
        quantity=f"run with {calls}",
        unit="ms",
        floor=Series(tuple(seconds["floor"])),
        ours=Series(tuple(seconds["ours"])),
    )
