"""A policy in a file: what is read, what is refused by name, and that nothing is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest

from retunable.errors import ConfigurationError
from retunable.rollout.metrics import Metric
from retunable.rollout.policy import Classical, Judged, Pace, Policy, Sequential
from retunable.rollout.policy_document import Alarm, parse_alarms, parse_policy, policy_json

ALARM = {"url": "http://p:9090", "query": "up", "above": 0, "then": "hold"}


def test_nothing_said_is_the_default() -> None:
    assert parse_policy({}) == Sequential()


@pytest.mark.parametrize(
    "policy",
    [
        Sequential(judged=(Judged(Metric.ERROR, margin=0.01),), alpha=0.01),
        Classical(minimum_users=300, pace=Pace(stage_users=7)),
    ],
)
def test_what_is_written_is_read_back(policy: Policy) -> None:
    alarms = (Alarm(url="http://p:9090", query="up", above=0, then="hold"),)
    kept = policy_json(policy, alarms)

    assert (parse_policy(kept), parse_alarms(kept)) == (policy, alarms)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"alhpa": 1}, "did you mean alpha"),
        ({"rule": "bayes"}, "rule must be one of"),
        ({"judged": ["speed"]}, "no metric 'speed'"),
        ({"judged": "error"}, "judged must be a list"),
        ({"judged": [{"metric": "error", "margin": 2.0}]}, "below 1"),
        ({"judged": [{"metric": "error", "margn": 0.1}]}, "judged must hold"),
        ({"alpha": "0.1"}, "alpha must be a number"),
        ({"stage_users": True}, "stage_users must be a number"),
        ({"rule": "classical"}, "needs minimum_users"),
    ],
)
def test_what_is_wrong_is_named(value: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_policy(value)


def test_an_alarm_never_promotes() -> None:
    with pytest.raises(ConfigurationError, match="roll back or hold"):
        parse_alarms({"alarms": [{**ALARM, "then": "promote"}]})
