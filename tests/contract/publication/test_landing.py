"""Compare-and-set: what may take the place of what, in one atomic step, on every store."""

from __future__ import annotations

import contextlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from retunable.config.items import Item, Unreadable
from retunable.errors import StoreWriteError
from retunable.release.documents import json_text, stored_document, tombstone_text
from retunable.release.landing import Landed, Landing, Moved, Outrun, Publication
from retunable.release.opening import open_publisher
from retunable.release.store_url import StoreURL
from retunable.release.writer import Publisher

KEY = "support_bot"
PATIENCE = 10
ROLE, GOAL = "agent_role", "agent_goal"


def envelope_text(generation: Any, role: str = "Released") -> str:
    """As much of an envelope as a store looks at."""
    config = {"role": role}
    return json_text({"retunable": 1, "generation": generation, "stable": {"config": config}})


def publication(
    generation: int,
    role: str = "Released",
    *,
    seen: Item | Unreadable | None = None,
    overrides: dict[str, Item | None] | None = None,
) -> Publication:
    return Publication(
        key=KEY,
        text=envelope_text(generation, role),
        generation=generation,
        seen=seen,
        overrides=overrides or {},
    )


def standing(publisher: Publisher, key: str = KEY) -> Item | None:
    item = publisher.read([key]).get(key)
    assert not isinstance(item, Unreadable)
    return item


def value(publisher: Publisher, key: str = KEY) -> str | None:
    item = standing(publisher, key)
    return item.value if item else None


def test_the_first_publication_lands_in_an_empty_store(publisher: Publisher) -> None:
    assert publisher.publish(publication(1)) == Landed()
    assert value(publisher) == envelope_text(1)


def test_a_higher_generation_replaces_a_lower_one_whatever_was_shown(publisher: Publisher) -> None:
    publisher.publish(publication(4))

    assert publisher.publish(publication(5, seen=Item("long ago"))) == Landed()
    assert value(publisher) == envelope_text(5)


def test_a_lower_generation_never_lands_and_says_what_stands(publisher: Publisher) -> None:
    publisher.publish(publication(5))
    seen = standing(publisher)

    assert publisher.publish(publication(4, seen=seen)) == Outrun(5)
    assert value(publisher) == envelope_text(5)


def test_a_tombstone_keeps_the_mark(publisher: Publisher) -> None:
    publisher.write({KEY: tombstone_text("support-bot", environment="default", generation=6)})

    assert publisher.publish(publication(5)) == Outrun(6)
    assert publisher.publish(publication(7)) == Landed()


def test_the_same_again_is_no_second_write(publisher: Publisher) -> None:
    publisher.publish(publication(5))
    before = standing(publisher)

    assert publisher.publish(publication(5)) == Landed(already=True)
    assert standing(publisher) == before


def test_an_equal_generation_replaces_only_what_was_shown(publisher: Publisher) -> None:
    publisher.publish(publication(5, "Altered"))
    shown = standing(publisher)

    assert publisher.publish(publication(5, "Mended")) == Moved((KEY,))
    assert value(publisher) == envelope_text(5, "Altered")
    assert publisher.publish(publication(5, "Mended", seen=shown)) == Landed()
    assert value(publisher) == envelope_text(5, "Mended")


WITHOUT_GENERATION = [
    '{"role": "By hand"}',
    "no JSON {",
    "[1, 2]",
    '"text"',
    "null",
    envelope_text(None),
    envelope_text(0),
    envelope_text(-3),
    envelope_text(2.5),
    envelope_text("9"),
    envelope_text(True),
    '{"retunable": 1, "generation": {"x": ' + "[" * 900 + "]" * 900 + "}}",
]


@pytest.mark.parametrize("text", WITHOUT_GENERATION)
def test_what_has_no_generation_is_replaced_only_as_it_was_shown(
    publisher: Publisher, text: str
) -> None:
    publisher.write({KEY: text})
    shown = standing(publisher)

    assert publisher.publish(publication(5, seen=None)) == Moved((KEY,))
    assert publisher.publish(publication(5, seen=shown)) == Landed()


def test_a_whole_number_written_with_a_point_counts(publisher: Publisher) -> None:
    publisher.write({KEY: envelope_text(7.0)})

    assert publisher.publish(publication(5)) == Outrun(7)


def test_what_is_gone_since_it_was_shown_stops_a_publication(publisher: Publisher) -> None:
    assert publisher.publish(publication(5, seen=Item("there before"))) == Moved((KEY,))
    assert value(publisher) is None


def test_overrides_go_in_the_same_write_if_they_are_as_shown(publisher: Publisher) -> None:
    publisher.write({ROLE: "By hand", GOAL: "Too"})
    shown = {ROLE: standing(publisher, ROLE), GOAL: standing(publisher, GOAL)}

    assert publisher.publish(publication(1, overrides=shown)) == Landed()
    assert publisher.read([ROLE, GOAL]) == {}


def test_an_override_that_changed_since_stops_all_of_it(publisher: Publisher) -> None:
    publisher.write({ROLE: "Shown", GOAL: "Shown"})
    shown = {ROLE: standing(publisher, ROLE), GOAL: standing(publisher, GOAL)}
    publisher.write({GOAL: "Changed"})

    assert publisher.publish(publication(1, overrides=shown)) == Moved((GOAL,))
    assert (value(publisher), value(publisher, ROLE)) == (None, "Shown")


def test_an_override_that_came_since_stops_all_of_it(publisher: Publisher) -> None:
    publisher.write({ROLE: "New"})

    assert publisher.publish(publication(1, overrides={ROLE: None})) == Moved((ROLE,))
    assert value(publisher, ROLE) == "New"


def test_an_override_that_is_gone_since_is_no_obstacle(publisher: Publisher) -> None:
    assert publisher.publish(publication(1, overrides={ROLE: Item("Shown", "1")})) == Landed()


def test_an_override_that_nobody_named_stays(publisher: Publisher) -> None:
    publisher.write({ROLE: "Kept"})

    assert publisher.publish(publication(1)) == Landed()
    assert value(publisher, ROLE) == "Kept"


def test_an_override_set_after_a_publication_survives_its_repetition(publisher: Publisher) -> None:
    publisher.write({ROLE: "Same"})
    once = publication(1, overrides={ROLE: standing(publisher, ROLE)})
    publisher.publish(once)
    publisher.write({ROLE: "Same"})

    assert publisher.publish(once) == Landed(already=True)
    assert value(publisher, ROLE) == "Same"


def test_a_text_comes_back_byte_for_byte(publisher: Publisher) -> None:
    role = "'; DROP TABLE x; -- Zoë 你好 \u2028 {{7*7}} \\ \" \r\n\t | || \U0001f600" + "x" * 5_000
    if publisher.kind == "postgresql":
        role = role.replace("x" * 5_000, "x")  # Dapr's documented trigger announces 8,000 bytes
    sent = publication(1, role)

    assert publisher.publish(sent) == Landed()
    assert value(publisher) == sent.text


def published_in_the_end(publisher: Publisher, wanted: Publication) -> Landing:
    """Publish again where a busy machine gave no answer in time, as ``Publisher.publish`` allows."""
    for _ in range(PATIENCE):
        with contextlib.suppress(StoreWriteError):
            return publisher.publish(wanted)
    return publisher.publish(wanted)


def test_of_racing_publishers_the_highest_generation_stands_and_it_never_falls(
    publisher: Publisher, store_url: StoreURL
) -> None:
    generations = list(range(1, 41))
    random.shuffle(generations)
    over, seen = threading.Event(), list[int]()

    def publish(share: list[int]) -> list[Landing]:
        own = open_publisher(store_url)
        try:
            return [published_in_the_end(own, publication(each)) for each in share]
        finally:
            own.close()

    def look() -> None:
        while not over.is_set():
            seen.append(stored_document(standing(publisher)).generation)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            landings = list(pool.map(publish, [generations[part::8] for part in range(8)]))
    finally:
        over.set()
        watcher.join()

    assert value(publisher) == envelope_text(40)
    assert seen == sorted(seen)
    assert {type(landing) for part in landings for landing in part} <= {Landed, Outrun, Moved}
