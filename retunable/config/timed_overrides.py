"""Overrides inside an envelope: single fields above the version, each until a moment.

How somebody acts in an emergency where field keys are not taken: with the envelope they are
signed, ordered by its generation and audited, and they end by themselves. What time it is, is
handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from retunable.config.agent_config import AgentConfig, InvalidField, check_field
from retunable.config.constraints import Constraints
from retunable.config.fields import FIELD_BY_NAME, nearest_field
from retunable.config.fieldset import check_constraints
from retunable.config.rejection import Refused
from retunable.config.shape import a_time


@dataclass(frozen=True, slots=True)
class TimedOverride:
    """One field's checked value until ``expires_at``, in seconds since the epoch."""

    field: str
    value: Any
    expires_at: float


def parse_timed_overrides(
    value: object, *, above: Iterable[AgentConfig], constraints: Constraints
) -> tuple[TimedOverride, ...]:
    """Read ``{field: {"value": …, "expires_at": "2026-11-21T15:00:00Z"}}``, the first to end first.

    Each state that expiry leads through must keep the program's constraints above each config
    that the envelope carries: else an end in the night would leave something that cannot run.

    Raises:
        Refused: shape, a value, a time, or one of those states is wrong.
    """
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise Refused("shape", "overrides must be an object of fields")
    parsed = [_parse(name, member) for name, member in value.items()]
    overrides = tuple(sorted(parsed, key=lambda override: override.expires_at))
    # Those of one moment end together: between them is no state.
    moments = {override.expires_at for override in overrides}
    states = [values_of(one for one in overrides if one.expires_at >= moment) for moment in moments]
    for config in above:
        for state in states:
            check_constraints(config.with_values(state), constraints)
    return overrides


def active(overrides: Iterable[TimedOverride], now: float) -> tuple[TimedOverride, ...]:
    """Return those that have not ended at ``now``, seconds since the epoch."""
    return tuple(override for override in overrides if override.expires_at > now)


def values_of(overrides: Iterable[TimedOverride]) -> dict[str, Any]:
    """Return the values by field name."""
    return {override.field: override.value for override in overrides}


def _parse(name: str, member: Any) -> TimedOverride:
    if name not in FIELD_BY_NAME:
        nearest = nearest_field(name)
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        raise Refused("unknown_field", f"overrides: {name[:60]!r} is not a field{hint}")
    if not (isinstance(member, Mapping) and member.keys() == {"value", "expires_at"}):
        raise Refused("shape", f"overrides.{name} must be an object with value and expires_at")
    try:
        value = check_field(name, member["value"])
    except InvalidField as error:
        raise Refused("invalid_value", f"overrides: {error}", field=name) from error
    ends = a_time(f"overrides.{name}.expires_at", member["expires_at"])
    return TimedOverride(name, value, ends)
