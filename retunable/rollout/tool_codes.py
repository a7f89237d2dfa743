"""On which tool code runs began lately: one, or several while a deployment is under way.

What was compared on one code says nothing of another, so no run counts beside those of another.
"""

from __future__ import annotations

from collections.abc import Mapping


class ToolCodes:
    """Follows the runs of one rollout; a code on which none began for a while is gone."""

    def __init__(self, *, gone_after_seconds: float) -> None:
        self._gone_after_seconds = gone_after_seconds
        self._last_start: dict[str, float] = {}

    def saw(self, code: str, *, started_at: float) -> None:
        """Note that a run began on a code."""
        self._last_start[code] = max(started_at, self._last_start.get(code, started_at))

    def to_json(self) -> dict[str, float]:
        """Return when the last run began on each code, which ``resume`` reads."""
        return dict(self._last_start)

    def resume(self, kept: Mapping[str, float]) -> None:
        """Go on from ``to_json``."""
        self._last_start = dict(kept)

    def in_use(self, now: float) -> frozenset[str]:
        """Return the codes on which a run began lately."""
        oldest = now - self._gone_after_seconds
        return frozenset(code for code, last in self._last_start.items() if last >= oldest)
