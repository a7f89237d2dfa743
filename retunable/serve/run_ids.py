"""Run ids that follow from what a caller sends twice when it is not sure that it was heard.

Compatibility data: a request that is repeated against a later release must find its run.
"""

from __future__ import annotations

import hashlib
import json


def run_id_of_key(key: str, *, user_id: str | None) -> str:
    """Return the run of an ``Idempotency-Key``; users cannot meet in each other's keys."""
    return "key-" + _hashed(key, user_id)


def run_id_of_event(event_id: str, *, source: str) -> str:
    """Return the run of a CloudEvent, whose id is unique within its source."""
    return "event-" + _hashed(source, event_id)


def _hashed(*parts: str | None) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
