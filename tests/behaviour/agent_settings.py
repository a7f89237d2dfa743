"""How one start of the agent under test differs from the defaults; travels in one variable."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SETTINGS_VARIABLE = "AGENT_UNDER_TEST"
# Set by hand to see a test fail without what it tests: JSON over the settings of every agent.
HANDICAP_VARIABLE = "AGENT_UNDER_TEST_HANDICAP"

AGENT = "Agent under test"
DOCUMENT_KEY = "agent_under_test"
DEFAULTS: Mapping[str, Any] = {
    "role": "Role of the code",
    "goal": "do what the code says",
    "instructions": ("Be brief.",),
    "model": "model-of-the-code",
    "max_iterations": 10,
}

Pin = Literal["call", "turn", "conversation"]
Callbacks = Literal["none", "raise", "block", "call back"]


@dataclass(frozen=True, kw_only=True)
class AgentSettings:
    """``timings`` are those of the live room, by name; what is not named keeps its default.

    ``tools`` are those that the program registers; ``model_timeout_seconds`` bounds one try of a
    model call, ``model_tries`` counts them.
    """

    timings: Mapping[str, Any] = field(default_factory=dict)
    pin: Pin = "turn"
    max_iterations: int = 10
    tools: Sequence[str] = ("note", "work")
    model_timeout_seconds: float = 120.0
    model_tries: int = 6
    callbacks: Callbacks = "none"
    last_good: bool = True

    def to_text(self) -> str:
        """Return the variable's value, with the handicap of this run over it."""
        own = asdict(self)
        handicap = json.loads(os.environ.get(HANDICAP_VARIABLE, "{}"))
        timings = {**own["timings"], **handicap.pop("timings", {})}
        return json.dumps({**own, **handicap, "timings": timings})

    @classmethod
    def from_environment(cls) -> AgentSettings:
        return cls(**json.loads(os.environ[SETTINGS_VARIABLE]))
