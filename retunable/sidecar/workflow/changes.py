"""What a transaction on workflows did that others act on once it is durable, or why it refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from retunable.sidecar.workflow.instance import Status, TaskToken

Why = Literal["unknown", "not found", "already exists", "invalid"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An operation that changed nothing; both are what daprd says ("unknown" is its code)."""

    why: Why
    message: str


@dataclass(frozen=True, slots=True)
class Task:
    """An activity to give to a worker; ``event`` is the stored one that scheduled it."""

    token: TaskToken
    instance_id: str
    event: bytes


@dataclass(slots=True)
class Changes:
    """Filled by the jobs of one transaction.

    ``tasks`` are activities that are due, ``runnable`` the keys of instances that have something
    to take, ``ended`` those for which nothing is left to do, ``seen`` what clients may wait for,
    by instance id. ``timers`` tells that one was added.
    """

    tasks: list[Task] = field(default_factory=list)
    runnable: dict[int, None] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    seen: dict[str, Status] = field(default_factory=dict)
    timers: bool = False
