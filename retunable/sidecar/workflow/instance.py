"""What is known of one workflow instance, and the tokens that name a piece of work on it.

Tokens say everything that is needed to take a result: they mean the same after a restart, so a
result that a worker held on to while the sidecar was away is still accepted, and only once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

_NUMBER: Final = re.compile(r"-?[0-9]{1,18}|[0-9]{19}")


class Status(IntEnum):
    """Where an instance is, in the protocol's numbers; suspension is kept apart from it."""

    RUNNING = 0
    COMPLETED = 1
    FAILED = 3
    TERMINATED = 5
    PENDING = 6
    SUSPENDED = 7
    STALLED = 8

    @property
    def finished(self) -> bool:
        """Tell whether nothing will happen any more."""
        return self in (Status.COMPLETED, Status.FAILED, Status.TERMINATED)


@dataclass(frozen=True, slots=True)
class Parent:
    """Which history of which instance awaits a child's end, and as which of its tasks."""

    key: int
    generation: int
    task_id: int


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance without its payloads.

    ``key`` is never used again, also where ``id`` is; ``generation`` counts its histories (it
    continues as new), ``length`` the events of the present one. ``version`` and ``patches`` are
    what its code called itself in this history.
    """

    key: int
    id: str
    name: str
    generation: int = 0
    length: int = 0
    status: Status = Status.PENDING
    suspended: bool = False
    parent: Parent | None = None
    version: str = ""
    patches: tuple[str, ...] = ()

    @property
    def seen_status(self) -> Status:
        """Return what a client is told."""
        return Status.SUSPENDED if self.suspended and not self.status.finished else self.status


@dataclass(frozen=True, slots=True)
class TurnToken:
    """One turn: the history that it stands on, the last event that it takes, its clock."""

    key: int
    generation: int
    length: int
    last_event: int
    at: int

    def __str__(self) -> str:
        return f"w.{self.key}.{self.generation}.{self.length}.{self.last_event}.{self.at}"

    @classmethod
    def parse(cls, token: str) -> Self | None:
        """Return what a worker sent back, or None where it is none of ours."""
        numbers = _numbers(token, "w", 5)
        return None if numbers is None else cls(*numbers)


@dataclass(frozen=True, slots=True)
class TaskToken:
    """One activity that one history of an instance awaits."""

    key: int
    generation: int
    task_id: int

    def __str__(self) -> str:
        return f"a.{self.key}.{self.generation}.{self.task_id}"

    @classmethod
    def parse(cls, token: str) -> Self | None:
        """Return what a worker sent back, or None where it is none of ours."""
        numbers = _numbers(token, "a", 3)
        return None if numbers is None else cls(*numbers)


def _numbers(token: str, kind: str, count: int) -> list[int] | None:
    first, *rest = token.split(".")
    # 19 digits are the largest number that SQLite keeps.
    if first != kind or len(rest) != count or not all(_NUMBER.fullmatch(one) for one in rest):
        return None
    return [int(number) for number in rest]
