"""Asks Prometheus whether an alarm fires. An alarm that cannot be asked is told apart from silence."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

import httpx2

from retunable.rollout.policy_document import Alarm

SECONDS: Final = 3.0


class Ringing(Enum):
    """What an alarm says."""

    FIRES = "fires"
    SILENT = "is silent"
    UNKNOWN = "cannot be asked"


def ask(alarm: Alarm) -> Ringing:
    """Run an alarm's instant query; it fires where any sample is above its bound."""
    try:
        answer = httpx2.get(
            f"{alarm.url.rstrip('/')}/api/v1/query", params={"query": alarm.query}, timeout=SECONDS
        )
        answer.raise_for_status()
        values = _values(answer.json())
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, TypeError, LookupError):
        return Ringing.UNKNOWN
    return Ringing.FIRES if any(value > alarm.above for value in values) else Ringing.SILENT


def _values(answer: Any) -> list[float]:
    """Return the samples of an answer: of a vector each one's, of a scalar its own."""
    if answer["status"] != "success":
        raise ValueError(answer["status"])
    data = answer["data"]
    if data["resultType"] == "scalar":
        return [float(data["result"][1])]
    return [float(sample["value"][1]) for sample in data["result"]]
