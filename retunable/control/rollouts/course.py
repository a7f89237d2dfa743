"""The body of a rollout's workflow: publish, judge, act, wait, and again until it is over.

Reads no time, store or randomness: what to do and how long to wait comes back from activities. The
names are pinned: recorded histories replay with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from retunable.agent.loop.effects import Body, Call, ContinueAsNew, Wait

WORKFLOW: Final = "retunable.rollout"
WORKFLOW_VERSION: Final = "1"
PUBLISH: Final = "retunable.rollout.publish"
JUDGE: Final = "retunable.rollout.judge"
ACT: Final = "retunable.rollout.act"

LOOKS: Final = 20
"""After so many it continues as new, so that a week of looks has no week of history."""


def course(data: Mapping[str, Any]) -> Body:
    """Follow one rollout; ``data`` is ``{"rollout": id}``."""
    for _ in range(LOOKS):
        yield Call(PUBLISH, data)
        look = yield Call(JUDGE, data)
        if look["over"]:
            return None
        if look["move"] is not None:
            yield Call(ACT, look["move"])
        yield Wait(look["wait_seconds"])
    return ContinueAsNew(data)
