"""A policy as JSON: what a person writes into a file, and what is kept of a rollout's start.

Flat: the names of ``Pace`` beside those of the rule. What is left out has its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any, Final, Literal

from retunable.errors import ConfigurationError
from retunable.rollout.metrics import Metric
from retunable.rollout.policy import Classical, Judged, Pace, Policy, Sequential

_RULES: Final[dict[str, type[Sequential | Classical]]] = {
    "sequential": Sequential,
    "classical": Classical,
}
_PACE: Final = frozenset(field.name for field in fields(Pace))

AlarmAction = Literal["roll back", "hold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A Prometheus query; above ``above`` the canary goes back or holds. It never promotes."""

    url: str
    query: str
    above: float
    then: AlarmAction


def parse_policy(value: Mapping[str, Any]) -> Policy:
    """Read a policy.

    Raises:
        ConfigurationError: a name or a value is wrong.
    """
    said = {name: member for name, member in value.items() if name not in ("rule", "alarms")}
    rule = _RULES.get(value.get("rule", "sequential"))
    if rule is None:
        raise ConfigurationError(f"rule must be one of {', '.join(_RULES)}")
    pace = {name: said.pop(name) for name in [*said] if name in _PACE}
    own = {field.name for field in fields(rule)} - {"pace"}
    for name in said.keys() - own:
        near = get_close_matches(name, own | _PACE, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigurationError(f"a {value.get('rule', 'sequential')} policy has no {name}{hint}")
    if "judged" in said:
        said["judged"] = tuple(_judged(one) for one in _a_list("judged", said["judged"]))
    for name, member in (said | pace).items():
        if name != "judged" and (isinstance(member, bool) or not isinstance(member, int | float)):
            raise ConfigurationError(f"{name} must be a number")
    if rule is Classical and "minimum_users" not in said:
        raise ConfigurationError("a classical policy needs minimum_users")
    return rule(**said, pace=Pace(**pace))


def parse_alarms(value: Mapping[str, Any]) -> tuple[Alarm, ...]:
    """Read a policy's alarms. Raises as ``parse_policy``."""
    return tuple(_alarm(one) for one in _a_list("alarms", value.get("alarms", [])))


def policy_json(policy: Policy, alarms: tuple[Alarm, ...] = ()) -> dict[str, Any]:
    """Return what ``parse_policy`` and ``parse_alarms`` read back."""
    said = asdict(policy)
    pace = said.pop("pace")
    if isinstance(policy, Sequential):
        said["judged"] = [{"metric": one.metric, "margin": one.margin} for one in policy.judged]
    rule = next(name for name, kind in _RULES.items() if type(policy) is kind)
    return {"rule": rule, **said, **pace, "alarms": [asdict(alarm) for alarm in alarms]}


def _judged(value: object) -> Judged:
    match value:
        case str(name) | {"metric": str(name), "margin": None}:
            margin = None
        case {"metric": str(name), "margin": float(margin)}:
            pass
        case _:
            raise ConfigurationError("judged must hold metrics: error, or {metric, margin}")
    if name not in set(Metric):
        raise ConfigurationError(f"there is no metric {name!r}: {', '.join(Metric)}")
    return Judged(Metric(name), margin)


def _alarm(value: object) -> Alarm:
    match value:
        case {
            "url": str(url),
            "query": str(query),
            "above": int() | float() as above,
            "then": "roll back" | "hold" as then,
            **rest,
        } if not rest:
            return Alarm(url=url, query=query, above=above, then=then)
        case _:
            raise ConfigurationError(
                "an alarm has url, query, above (a number) and then (roll back or hold)"
            )


def _a_list(name: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigurationError(f"{name} must be a list")
    return value
