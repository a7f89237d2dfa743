"""Process start → subscribed, the memory then, and the first answer through the real client.

The floor is subscribed when its worker runs and its subscription has its id; ours when its first
snapshot stands READY with a live stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.rig import SIDES, Rig, Side, redis_rig
from bench.series import Comparison, Outcome, Series

if TYPE_CHECKING:
    from pathlib import Path

MOST_TIMES_FLOOR: Final = 1.25
MEGABYTE: Final = 1_000_000
FACE_PACKAGES: Final = frozenset(
    ("fastapi", "starlette", "uvicorn", "typer", "click", "rich", "redis", "psycopg", "sqlalchemy")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of one process."""

    subscribed_seconds: float
    subscribed_bytes: int
    answered_seconds: float
    answered_bytes: int
    packages: frozenset[str]


def measure(directory: Path, *, quick: bool) -> Outcome:
    """Start the floor and ours in turn; the first pair fills the caches and does not count."""
    starts: dict[Side, list[Start]] = {"floor": [], "ours": []}
    with redis_rig(directory) as rig:
        for number in range(4 if quick else 21):
            for side in SIDES:
                start = _start(rig, side)
                if number:
                    starts[side].append(start)
    return Outcome(comparisons=_comparisons(starts), remarks=(_faces(starts["ours"]),))


def _start(rig: Rig, side: Side) -> Start:
    with rig.subject(side) as subject:
        subscribed = subject.told()
        answered = subject.order("run 1")
        return Start(
            subscribed_seconds=subscribed["at"] - subject.started_at,
            subscribed_bytes=subscribed["resident"],
            answered_seconds=answered["at"] - subject.started_at,
            answered_bytes=answered["resident"],
            packages=frozenset(answered.get("packages", ())),
        )


def _comparisons(starts: dict[Side, list[Start]]) -> tuple[Comparison, ...]:
    def series(side: Side, name: str, scale: float = 1.0) -> Series:
        return Series(tuple(getattr(start, name) / scale for start in starts[side]))

    def seconds(quantity: str, name: str, most: float | None = None) -> Comparison:
        floor, ours = (series(side, name) for side in SIDES)
        return Comparison(
            measure="start",
            quantity=quantity,
            unit="s",
            floor=floor,
            ours=ours,
            most_times_floor=most,
        )

    def memory(quantity: str, name: str, most: float | None = None) -> Comparison:
        floor, ours = (series(side, name, MEGABYTE) for side in SIDES)
        return Comparison(
            measure="start",
            quantity=quantity,
            unit="MB",
            floor=floor,
            ours=ours,
            most_times_floor=most,
        )

    return (
        seconds("process start → subscribed", "subscribed_seconds", MOST_TIMES_FLOOR),
        memory("resident when subscribed", "subscribed_bytes", MOST_TIMES_FLOOR),
        seconds("process start → first answer", "answered_seconds"),
        memory("resident after the first answer", "answered_bytes"),
    )


def _faces(starts: list[Start]) -> str:
    imported = sorted(FACE_PACKAGES & frozenset[str]().union(*(s.packages for s in starts)))
    return f"packages of faces that ours imported: {', '.join(imported) or 'none'}"
