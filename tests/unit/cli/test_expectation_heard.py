"""The verdict on a write, from what a replica's heartbeats said before and say after."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from retunable.cli.expectation import (
    Applied,
    DocumentReset,
    DocumentSet,
    Expectation,
    FieldSet,
    FieldUnset,
    Rejected,
    ReleaseTaken,
    Verdict,
    verdict_heard,
)
from retunable.config.fields import FIELDS
from retunable.events.event import ItemSeen
from retunable.events.event import Rejected as Refused
from retunable.events.shown_value import digest
from retunable.release.store.replicas import LiveReplica

ROLE = FieldSet("role", "b/agent_role", "Expert", "Expert")
BATCH = {"role": "Expert", "goal": "Help"}
TEXT = json.dumps(BATCH)
DOCUMENT = DocumentSet("b/support", BATCH, TEXT, {field.name: f"b/{field.key}" for field in FIELDS})
GENERATION = ReleaseTaken("b/support", 7)


def said(
    *, rejected: dict[str, str] | None = None, generation: int | None = None, **items: str
) -> LiveReplica:
    """A heartbeat of a replica that read these items under its prefix."""
    return LiveReplica(
        replica="r",
        seen_at=datetime(2026, 1, 1, tzinfo=UTC),
        interval=timedelta(seconds=5),
        generation=generation,
        version=None,
        revision=1,
        status="ready",
        stream="live",
        rejected=tuple(Refused(f"b/{key}", why) for key, why in (rejected or {}).items()),
        items=tuple(ItemSeen(f"b/{key}", digest(text)) for key, text in items.items()),
    )


NEVER_READ = LiveReplica(**{**{n: getattr(said(), n) for n in said().__slots__}, "items": None})


def judged(
    *expectations: Expectation, now: LiveReplica, before: LiveReplica | None = None, **said: Any
) -> Verdict | None:
    return verdict_heard(expectations, before=before, now=now, **{"settled": False, **said})


def test_a_field_is_applied_once_its_very_text_was_read() -> None:
    assert judged(ROLE, now=said(agent_role="Expert")) == Applied()
    assert judged(ROLE, now=said(agent_role="Another")) is None
    assert judged(ROLE, now=said()) is None


def test_what_the_replica_rejects_fails_at_once_though_it_rejected_the_same_before() -> None:
    rejects = said(agent_role="Expert", rejected={"agent_role": "not here"})
    assert judged(ROLE, now=rejects, before=rejects) == Rejected("not here")


def test_a_rejection_of_another_value_is_no_answer_however_late() -> None:
    rejects = said(agent_role="Another", rejected={"agent_role": "not here"})
    assert judged(ROLE, now=rejects, settled=True) is None


def test_a_field_is_unset_once_its_key_is_gone() -> None:
    gone = FieldUnset("role", "b/agent_role")
    assert judged(gone, now=said(agent_role="x")) is None
    assert judged(gone, now=said(agent_goal="x")) == Applied()


def test_a_replica_that_never_read_has_unset_nothing() -> None:
    assert judged(FieldUnset("role", "b/agent_role"), now=NEVER_READ) is None


def test_a_document_names_the_fields_that_stay_covered() -> None:
    assert judged(DOCUMENT, now=said(support=TEXT)) == Applied()
    assert judged(DOCUMENT, now=said(support=TEXT, agent_goal="x")) == Applied(hidden=("goal",))
    assert judged(DOCUMENT, now=said(support="{}")) is None


@pytest.mark.parametrize("expected", [GENERATION, DocumentReset("b/support", 7)])
def test_a_generation_or_a_later_one_is_taken(expected: Expectation) -> None:
    assert judged(expected, now=said(generation=6)) is None
    assert judged(expected, now=said(generation=7)) == Applied()
    later = said(generation=8, rejected={"support": "a generation that is later still"})
    assert judged(expected, now=later) == Applied()


def test_a_generation_is_rejected_where_the_reason_is_new_or_stays() -> None:
    rejects = said(generation=6, rejected={"support": "too many steps"})
    assert judged(GENERATION, now=rejects, before=said(generation=6)) == Rejected("too many steps")
    assert judged(GENERATION, now=rejects, before=rejects) is None
    assert judged(GENERATION, now=rejects, before=rejects, settled=True) == Rejected(
        "too many steps"
    )


def test_a_signed_value_is_taken_with_its_release() -> None:
    signed = FieldSet("role", "b/support", "Expert")
    assert judged(GENERATION, signed, now=said(generation=7)) == Applied()
    assert judged(GENERATION, signed, now=said(generation=6)) is None


def test_all_parts_of_a_write_must_have_been_read() -> None:
    gone = FieldUnset("goal", "b/agent_goal")
    assert judged(ROLE, gone, now=said(agent_role="Expert", agent_goal="x")) is None
    assert judged(ROLE, gone, now=said(agent_role="Expert")) == Applied()
