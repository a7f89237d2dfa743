"""Where a run's caller stood in a rollout when the run began: kept with its first step. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from retunable.config.resolve import Assignment
from retunable.config.stages import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """What the split said of a caller, whatever its conversation is pinned to.

    ``bucket`` is that of whoever was split: the user, or the conversation of a caller without
    one. ``cohort`` is the stage in whose comparison the user is, None in no one's. ``pinned`` says
    that the conversation was pinned before that cohort was opened, so that the run says nothing
    about it. ``tool_code`` is the digest of the tools of the process in which the run began.
    """

    rollout_id: str | None = None
    bucket: int | None = None
    arm: Literal["stable", "canary"] | None = None
    cohort: int | None = None
    pinned: bool = False
    anonymous: bool = True
    tool_code: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what differs from the defaults."""
        return {name: value for name, value in asdict(self).items() if value != _DEFAULTS[name]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read ``to_json``'s form; what a later release added is left out."""
        return cls(**{name: value for name, value in data.items() if name in _DEFAULTS})


_DEFAULTS = asdict(Exposed())


def exposed(
    assignment: Assignment,
    rollout: Rollout | None,
    *,
    pin: Mapping[str, Any] | None,
    tool_code: Callable[[], str],
) -> Exposed:
    """Return where a caller stands; ``pin`` names the config that its conversation is pinned to."""
    anonymous = assignment.decided_by != "user"
    if rollout is None or assignment.bucket is None:
        return Exposed(anonymous=anonymous)
    cohort = assignment.place.cohort if assignment.place else None
    return Exposed(
        rollout_id=rollout.id,
        bucket=assignment.bucket,
        arm=assignment.variant,
        cohort=cohort,
        pinned=pin is not None and cohort is not None and _older(pin, rollout, cohort),
        anonymous=anonymous,
        tool_code=tool_code(),
    )


def _older(pin: Mapping[str, Any], rollout: Rollout, cohort: int) -> bool:
    """Tell whether a pin was set before a cohort of a rollout was opened."""
    stage = pin.get("rollout_stage")
    return pin.get("rollout") != rollout.id or stage is None or stage < cohort
