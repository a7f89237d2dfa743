"""The named points of an activation at which a process may die; tests kill it at every one.

``ReleaseStore(reached=…)`` is told of each. Whatever it does there, the next start or
``retune publish`` must end in the one right state.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Point(StrEnum):
    """In the order in which an activation over two databases passes them."""

    LOCKED = "locked"
    """The release store's lock is held; nothing is written."""
    RECORDED = "recorded"
    """The pending deployment and its audit entry are written, not yet committed."""
    PENDING = "pending"
    """They are committed; nothing is published."""
    PUBLISHED = "published"
    """The envelope stands in the configuration store; the deployment is still pending."""
    SETTLING = "settling"
    """The outcome is written, not yet committed."""
    SETTLED = "settled"
    """All is committed; the caller has not been told."""


Reached = Callable[[Point], None]


def ignored(point: Point) -> None:
    """What a program that is not under test does at a point: nothing."""
