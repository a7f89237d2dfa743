"""Which changes of items are told, and as what."""

from __future__ import annotations

import pytest

from retunable.agent.direct_writes import DirectWrites
from retunable.config.items import Item, StoreKind, Unreadable
from retunable.events.event import Event, ObservedChange
from retunable.live.witness import ItemChange, Stood
from tests.unit.live.scenes import DOCUMENT, declaration


def told(key: str, old: Stood, new: Stood, *, store: StoreKind = "redis") -> list[ObservedChange]:
    events: list[Event] = []
    writes = DirectWrites(declaration=declaration(), replica="r", put=events.append)
    change = ItemChange(key=key, old=old, new=new, not_before=1.25, not_after=2.5)
    writes.saw((change,), store)
    return [event for event in events if isinstance(event, ObservedChange)]


def test_a_change_is_told_with_its_times() -> None:
    [event] = told("agent_role", None, Item("new"))

    assert (event.key, event.item, event.old, event.new) == ("agent_role", "override", None, "new")
    assert (event.not_before_ms, event.not_after_ms) == (1250, 2501)


def test_on_postgresql_the_trigger_tells_and_nobody_else() -> None:
    assert told("agent_role", None, Item("new"), store="postgresql") == []


@pytest.mark.parametrize(
    ("key", "new", "text"),
    [
        pytest.param("agent_role", Item("a", "b"), "a||b", id="cut by Redis's component"),
        pytest.param(
            "agent_role", Unreadable("bad UTF-8"), "[cannot be read: bad UTF-8]", id="bad"
        ),
        pytest.param("llm_api_key", Item("sk-1"), "[secret, 4 characters]", id="secret"),
    ],
)
def test_a_value_is_told_as_it_stands_there(key: str, new: Stood, text: str) -> None:
    [event] = told(key, None, new)
    assert event.new == text


def test_a_row_version_alone_is_no_change() -> None:
    assert told("agent_role", Item("a", "1"), Item("a", "2"), store="sqlite") == []


def test_the_document_is_told_as_one() -> None:
    [event] = told(DOCUMENT, Item('{"role": "a"}'), None)
    assert event.item == "document"
