"""What is ready for a worker, in order: turns by instance, activities by token.

A piece is known by name; what it says is kept beside it only where it was at hand, so that a long
queue costs little memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from retunable.sidecar.workflow.changes import Task
from retunable.sidecar.workflow.instance import TaskToken
from retunable.sidecar.workflow.turns import Turn


class Ready:
    """Two queues; a value of None has to be loaded."""

    def __init__(self) -> None:
        self.turns: dict[int, Turn | None] = {}
        self._tasks: dict[int, dict[TaskToken, Task | None]] = {}

    def add_turn(self, key: int, turn: Turn | None) -> None:
        """Add a turn, or what one says to the name."""
        self.turns[key] = turn

    def add_task(self, token: TaskToken, task: Task | None) -> None:
        """Add an activity, or what one says to the name."""
        self._tasks.setdefault(token.key, {})[token] = task

    def tasks(self) -> Iterator[tuple[TaskToken, Task | None]]:
        """Return the activities as they stand now."""
        for of_one in list(self._tasks.values()):
            yield from list(of_one.items())

    def remove_turn(self, key: int) -> None:
        """Take a turn out, if it is there."""
        self.turns.pop(key, None)

    def remove_task(self, token: TaskToken) -> None:
        """Take an activity out, if it is there."""
        of_one = self._tasks.get(token.key)
        if of_one is not None:
            of_one.pop(token, None)
            if not of_one:
                del self._tasks[token.key]

    def remove_all(self, key: int) -> None:
        """Take out what is for an instance."""
        self.turns.pop(key, None)
        self._tasks.pop(key, None)
