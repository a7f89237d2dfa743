"""A write to the store → the snapshot is swapped: on Redis, PostgreSQL and the embedded sidecar.

The floor is a bare subscription in the same process: write → its handler has the message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.rig import Subject, environment
from bench.series import Comparison, Outcome, Series
from dev.embedded import EmbeddedStack
from dev.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

# The document last: it would be missed if it went, and a key that goes uncovers it.
CASES: Final = ("field key", "document")
MOST_TIMES_FLOOR: Final = {
    ("redis", "document"): 3.0,
    ("redis", "field key"): 6.0,
    ("postgresql", "document"): 3.0,
    ("postgresql", "field key"): 3.0,
    ("embedded", "document"): 3.0,
    ("embedded", "field key"): 3.0,
}
MOST_P99_MILLISECONDS: Final = 15.0
MOST_EMBEDDED_P50_MILLISECONDS: Final = 5.0
MILLISECOND: Final = 0.001
CASE_SECONDS: Final = 300.0


def measure(directory: Path, *, quick: bool) -> Outcome:
    """Write at least 500 times for each of the two, in turn, to each store."""
    stacks = (
        EmbeddedStack(directory / "embedded"),
        Stack.redis(directory / "redis"),
        Stack.postgres(directory / "postgresql"),
    )
    comparisons: list[Comparison] = []
    remarks: list[str] = []
    for stack in stacks:
        with stack:
            measured = measure_on(stack, writes=50 if quick else 600)
        comparisons += measured.comparisons
        remarks += measured.remarks
    return Outcome(comparisons=tuple(comparisons), remarks=tuple(remarks))


def measure_on(
    stack: EmbeddedStack | Stack, *, writes: int, most_p50: float | None = None
) -> Outcome:
    """Write so often for each of the two, in turn, to the store of a stack that runs."""
    subject = Subject(
        "bench.subjects.retuned",
        stack.directory / "subject",
        environment(stack.environment),
        str(writes),
        *CASES,
    )
    with subject:
        comparisons = tuple(_compare(stack.backend, subject, most_p50=most_p50))
        end = subject.told()
    remark = f"{stack.backend}: ours ended {end['state']}, its stream {end['stream']}"
    return Outcome(comparisons=comparisons, remarks=(remark,))


def _compare(backend: str, subject: Subject, *, most_p50: float | None) -> Iterator[Comparison]:
    for case in CASES:
        seconds = subject.told(within_seconds=CASE_SECONDS)
        yield Comparison(
            measure="propagation",
            quantity=f"{backend}, {case}: write → swapped",
            unit="ms",
            floor=milliseconds(seconds["floor"]),
            ours=milliseconds(seconds["ours"]),
            most_times_floor=MOST_TIMES_FLOOR[backend, case],
            most_p50=most_p50,
            most_p99=MOST_P99_MILLISECONDS,
        )


def milliseconds(seconds: Iterable[float]) -> Series:
    """Return what was measured in seconds, in milliseconds."""
    return Series(tuple(value / MILLISECOND for value in seconds))
