"""What the body of a durable workflow may ask for; ``workflow.drive`` has it done. Pure."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Call:
    """One activity to run, by name."""

    activity: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallAll:
    """Several activities to run at once."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Sleep, durably."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ContinueAsNew:
    """The end of one history: the workflow goes on in a new one with this input."""

    input: Mapping[str, Any]


Body: TypeAlias = Generator[Call | CallAll | Wait, Any, Any]
"""It is sent what each effect gave, and returns the workflow's result or a ``ContinueAsNew``."""
