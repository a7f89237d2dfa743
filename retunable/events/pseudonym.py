"""What stands for a user in events: a keyed hash that means nothing outside its scope.

Within a rollout a user has one pseudonym; in the next rollout another, and nobody without the
secret can tell that they belong together. Outside of rollouts it lasts for a week, long enough to
reckon how many users come.
"""

from __future__ import annotations

import hmac
from datetime import datetime


def scope_of(rollout_id: str | None, started_at: datetime) -> str:
    """Return within what a user is recognised: a rollout, or the ISO week of a run's start."""
    if rollout_id is not None:
        return f"rollout {rollout_id}"
    year, week, _ = started_at.isocalendar()
    return f"week {year}-{week:02}"


def pseudonym(secret: bytes, scope: str, user_id: str) -> str:
    """Return HMAC-SHA256 of a user's id, in hexadecimal, under a key of the scope's own."""
    # Its own domain: flags' lists hash the same ids under the same secret.
    key = hmac.digest(secret, b"retunable events\0" + scope.encode(), "sha256")
    return hmac.digest(key, user_id.encode(), "sha256").hex()
