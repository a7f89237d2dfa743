"""Events go to JSON and back; what is no event is refused by the name of its field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from retunable.errors import EventError
from retunable.events.encoding import from_json, to_json
from retunable.events.event import TOPIC, Event, Heartbeat
from tests.unit.events.made import EVENTS

IDS = [event.kind for event in EVENTS]


@pytest.mark.parametrize("event", EVENTS, ids=IDS)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    assert from_json(json.loads(json.dumps(to_json(event)))) == event


@pytest.mark.parametrize("event", EVENTS, ids=IDS)
def test_a_field_that_a_newer_sender_adds_is_ignored(event: Event) -> None:
    assert from_json({**to_json(event), "mood": "good"}) == event


def test_an_unknown_kind_is_no_event_and_no_error() -> None:
    assert from_json({"retunable_event": 1, "kind": "weather", "sunny": True}) is None


@pytest.mark.parametrize(
    ("event", "change", "field"),
    [
        pytest.param(EVENTS[0], {"agent": ""}, "agent", id="empty name"),
        pytest.param(EVENTS[0], {"items": [["k", None]] * 101}, "items", id="too many items"),
        pytest.param(EVENTS[1], {"not_after_ms": 2**53 - 1}, "not_after_ms", id="no date"),
        pytest.param(EVENTS[0], {"agent": None}, "agent", id="null"),
        pytest.param(EVENTS[0], {"revision": "3"}, "revision", id="text for a number"),
        pytest.param(EVENTS[0], {"status": "fine"}, "status", id="unknown status"),
        pytest.param(EVENTS[0], {"interval_ms": 0}, "interval_ms", id="no interval"),
        pytest.param(EVENTS[0], {"replica": "x" * 600}, "replica", id="too long"),
        pytest.param(EVENTS[2], {"bucket": 10_000}, "bucket", id="bucket beyond the last"),
        pytest.param(EVENTS[2], {"arm": "control"}, "arm", id="unknown arm"),
        pytest.param(EVENTS[3], {"cost": float("nan")}, "cost", id="not a number"),
        pytest.param(EVENTS[4], {"rating": 0}, "rating", id="no thumb"),
        pytest.param(EVENTS[0], {"retunable_event": 2}, "retunable_event", id="later form"),
        pytest.param(EVENTS[0], {"kind": 7}, "kind", id="kind is no text"),
    ],
)
def test_a_wrong_field_is_named(event: Event, change: dict[str, Any], field: str) -> None:
    with pytest.raises(EventError) as raised:
        from_json({**to_json(event), **change})

    assert raised.value.field.split(".")[0] == field


def test_a_missing_field_is_named() -> None:
    told = to_json(EVENTS[0])
    del told["interval_ms"]

    with pytest.raises(EventError, match=r"heartbeat\.interval_ms"):
        from_json(told)


@pytest.mark.parametrize("data", [None, [], "heartbeat", 7, {}, {"kind": "heartbeat"}])
def test_what_is_no_event_is_refused(data: object) -> None:
    with pytest.raises(EventError):
        from_json(data)


def test_what_is_on_the_wire_is_pinned() -> None:
    assert TOPIC == "retunable.events"
    assert IDS == ["heartbeat", "observed_change", "exposure", "outcome", "feedback"]
    beat = EVENTS[0]
    assert isinstance(beat, Heartbeat)
    assert to_json(beat) == {
        "retunable_event": 1,
        "kind": "heartbeat",
        "event_id": beat.event_id,
        "agent": "support",
        "environment": "production",
        "replica": "host-1/4711",
        "at_ms": 1_790_000_000_000,
        "interval_ms": 5_000,
        "revision": 3,
        "generation": 12,
        "version": 7,
        "status": "ready",
        "stream": "live",
        "rejected": (("llm_temperature", "hot"),),
        "items": (("agent_role", "8b317b0c50ee0926"), ("llm_model", None)),
        "leaving": False,
    }
