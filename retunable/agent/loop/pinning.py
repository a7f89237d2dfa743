"""Which config a step runs on: the one that the run is pinned to, or the one of now.

Pure. What names the previous step's effective config is in that step's record, the config itself
lies by its checksum in the state store: a replica that never saw it, or is not ready itself, can
go on with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, assert_never, get_args

from pydantic import ValidationError

from retunable.agent.runs.exposed import Exposed
from retunable.config.agent_config import AgentConfig
from retunable.config.constraints import Constraints
from retunable.config.resolve import Effective
from retunable.errors import ConfigurationError

Pin = Literal["call", "turn", "conversation"]
PINS: Final[tuple[Pin, ...]] = get_args(Pin)


def parse_pin(text: str) -> Pin:
    """Return the pin that a program names.

    Raises:
        ConfigurationError: there is no such pin.
    """
    for pin in PINS:
        if text == pin:
            return pin
    raise ConfigurationError(f"pin={text!r} must be one of {', '.join(PINS)}")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The effective config of a step; ``unpinned`` says why the run left its pinned one.

    ``exposed`` is where its caller stands in a rollout now.
    """

    effective: Effective
    unpinned: str | None = None
    exposed: Exposed = field(default_factory=Exposed)


def choose(
    pin: Pin,
    *,
    previous: Effective | str | None,
    fresh: Effective,
    current: bool,
    constraints: Constraints,
    revoked: tuple[str, ...] = (),
) -> Chosen:
    """Choose between the previous step's effective config and the one of now.

    ``previous`` is None at the first step (of the conversation, where that is pinned), and a
    reason where it can no longer be read.
    ``current`` is False on a replica that does not follow the store now.
    """
    if previous is None:
        return Chosen(fresh)
    if isinstance(previous, str):
        return Chosen(fresh, previous)
    reason = _unfit(previous, constraints, revoked)
    if reason is not None:
        return Chosen(fresh, reason)
    match pin:
        case "turn" | "conversation":
            return Chosen(previous)
        case "call":
            stays = not current or _goes_back(previous, fresh)
            return Chosen(previous if stays else fresh)
        case _ as unreachable:
            assert_never(unreachable)


def reference_to(effective: Effective) -> dict[str, Any]:
    """Return what names an effective config, without the config itself."""
    named: dict[str, Any] = {
        "checksum": effective.checksum,
        "revision": effective.revision,
        "variant": effective.variant,
        "version": effective.version,
        "version_checksum": effective.version_checksum,
        "generation": effective.generation,
        "override_keys": list(effective.override_keys),
        "flags": list(effective.flags),
    }
    if effective.rollout is not None:
        named |= {"rollout": effective.rollout, "rollout_stage": effective.rollout_stage}
    return named


def effective_from(reference: Mapping[str, Any], config: object) -> Effective | str:
    """Put a reference and its config together, or say why this program cannot read it."""
    if config is None:
        return "the pinned config is no longer in the state store"
    try:
        read = AgentConfig.model_validate_json(json.dumps(config))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return f"the pinned config cannot be read by this program: {where}: {first['msg']}"
    lists = {name: tuple(reference[name]) for name in ("override_keys", "flags")}
    return Effective(config=read, **dict(reference) | lists)


def _unfit(effective: Effective, constraints: Constraints, revoked: tuple[str, ...]) -> str | None:
    if effective.version_checksum is not None and effective.version_checksum in revoked:
        return f"version {effective.version} was revoked"
    violations = constraints.check(effective.config)
    if not violations:
        return None
    fields = ", ".join(sorted(violations[0].fields))
    return f"the pinned config is no longer allowed: {fields} {violations[0].reason}"


def _goes_back(previous: Effective, fresh: Effective) -> bool:
    """Tell whether ``fresh`` was published before ``previous``: another replica was ahead."""
    if previous.generation is None or fresh.generation is None:
        return False
    return fresh.generation < previous.generation
