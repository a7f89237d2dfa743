"""Saved versions: numbers, checksums, what comes back, what is refused."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from retunable.config.checksum import canonical
from retunable.config.constraints import Constraints
from retunable.release.store import versions
from retunable.release.store.version_data import MAX_CONFIG_BYTES, Invalid
from retunable.release.store.versions import Draft, Saved, Unchanged
from tests.contract.release.steps import config_json, save

if TYPE_CHECKING:
    from retunable.release.store.release_store import ReleaseStore
    from tests.contract.release.homes import Home

HOSTILE = {
    "injection": "'; DROP TABLE release_versions; --",
    "format": "%s %(agent)s :agent {role} {{ x }} {% if %}",
    "unicode": "naïve 日本語 🦜 \u202e\u200b e\u0301",
    "controls": "\x01\x02\t\r\n\x1b[31m\x7f\u2028",
    "bars": "a||b||c | d",
    "quotes": "\"'`$$\\",
}


def test_versions_are_numbered_per_agent_from_one(store: ReleaseStore) -> None:
    numbers = [save(store, agent, role=role).number for agent, role in PAIRS]

    assert numbers == [1, 1, 2, 2]


PAIRS = (("support", "a"), ("sales", "a"), ("support", "b"), ("sales", "b"))


def test_the_checksum_is_over_the_stored_bytes(store: ReleaseStore, home: Home) -> None:
    saved = save(store, role="Expert")

    ((stored,),) = home.raw("SELECT config FROM release_versions")
    assert bytes(stored) == canonical(config_json(role="Expert"))
    assert saved.checksum == f"1:sha256:{hashlib.sha256(bytes(stored)).hexdigest()}"
    assert saved.size_bytes == len(stored)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_every_text_comes_back_as_it_was(store: ReleaseStore, text: str) -> None:
    config = config_json(role=text, instructions=[text, text], guardrails={text: {text: text}})
    with store.transaction(claimed=text) as work:
        saved = versions.save(work, Draft(agent=text, config=config, reason=text))
    assert isinstance(saved, Saved)

    with store.snapshot() as work:
        found = versions.version(work, text, 1)
        assert found is not None
        assert (found.agent, found.stamp.reason, found.stamp.claimed) == (text, text, text)
        assert versions.config(work, found) == config


def test_saving_what_the_latest_is_already_makes_no_new_version(store: ReleaseStore) -> None:
    first = save(store, role="a")
    with store.transaction() as work:
        again = versions.save(
            work, Draft(agent="support", config=config_json(role="a"), reason="other words")
        )

    assert again == Unchanged(first)


def test_an_older_config_saved_again_is_a_new_version(store: ReleaseStore) -> None:
    first = save(store, role="a")
    save(store, role="b")
    third = save(store, role="a")

    assert (third.number, third.checksum) == (3, first.checksum)


def test_author_time_and_claimed_name_are_recorded(home: Home) -> None:
    with home.open(person="maria") as store:
        with store.transaction(claimed="the pipeline") as work:
            versions.save(work, Draft(agent="support", config=config_json(), reason="why"))
        with store.snapshot() as work:
            (version,) = versions.versions(work, "support")

    assert (version.stamp.actor, version.stamp.claimed) == ("maria", "the pipeline")
    assert abs(datetime.now(UTC) - version.stamp.at) < timedelta(minutes=1)


def test_the_parent_is_the_latest_unless_another_is_named(store: ReleaseStore) -> None:
    save(store, role="a")
    second = save(store, role="b")
    with store.transaction() as work:
        third = versions.save(
            work, Draft(agent="support", config=config_json(role="c"), reason="", parent=1)
        )

    assert second.parent == 1
    assert isinstance(third, Saved)
    assert third.version.parent == 1


def test_source_names_a_commit(store: ReleaseStore) -> None:
    commit = "git:" + "0123456789" * 4
    with store.transaction() as work:
        saved = versions.save(
            work, Draft(agent="support", config=config_json(), reason="", source=commit)
        )

    assert isinstance(saved, Saved)
    assert saved.version.source == commit


REFUSED = {
    "no model": (Draft(agent="a", config=config_json(model=None), reason=""), "model must be set"),
    "all tools": (Draft(agent="a", config=config_json(tools=None), reason=""), "explicit list"),
    "incomplete": (Draft(agent="a", config={"role": "x"}, reason=""), "missing: goal"),
    "unknown": (Draft(agent="a", config=config_json(rol="x"), reason=""), "did you mean"),
    "secret": (
        Draft(agent="a", config=config_json(llm_api_key="sk-123"), reason=""),
        "looks like a secret",
    ),
    "NUL in a prompt": (Draft(agent="a", config=config_json(role="a\0"), reason=""), "NUL"),
    "NUL in the reason": (Draft(agent="a", config=config_json(), reason="\0"), "NUL"),
    "lone surrogate": (Draft(agent="a", config=config_json(), reason="\ud800"), "surrogate"),
    "source": (Draft(agent="a", config=config_json(), reason="", source="svn"), "source 'svn'"),
    "parent": (Draft(agent="a", config=config_json(), reason="", parent=7), "parent 7"),
    "no agent": (Draft(agent="", config=config_json(), reason=""), "1 to 200 characters"),
    "constraint": (
        Draft(
            agent="a",
            config=config_json(max_iterations=50),
            reason="",
            constraints=Constraints(max_iterations=20),
        ),
        "at most 20",
    ),
}


@pytest.mark.parametrize(("draft", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_could_not_be_published_is_not_saved(
    store: ReleaseStore, draft: Draft, said: str
) -> None:
    with store.transaction() as work:
        refused = versions.save(work, draft)

    assert isinstance(refused, Invalid)
    assert said in refused.reason
    with store.snapshot() as work:
        assert versions.agents(work) == {}


def test_a_config_over_the_limit_is_refused_with_the_number(store: ReleaseStore) -> None:
    # Each prompt is small enough by itself; every '|' takes six bytes in an envelope.
    texts = dict.fromkeys(("role", "goal"), "|" * 90_000)
    with store.transaction() as work:
        refused = versions.save(
            work, Draft(agent="support", config=config_json(**texts), reason="long")
        )

    assert isinstance(refused, Invalid)
    assert "1,080," in refused.reason
    assert f"{MAX_CONFIG_BYTES:,}" in refused.reason


def test_versions_come_newest_first_and_by_pages(store: ReleaseStore) -> None:
    for role in "abcde":
        save(store, role=role)

    with store.snapshot() as work:
        page = versions.versions(work, "support", at_most=2)
        rest = versions.versions(work, "support", before=page[-1].number)

    assert [v.number for v in (*page, *rest)] == [5, 4, 3, 2, 1]


def test_an_exception_inside_a_transaction_leaves_nothing(store: ReleaseStore) -> None:
    def interrupted() -> None:
        with store.transaction() as work:
            versions.save(work, Draft(agent="support", config=config_json(), reason=""))
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        interrupted()
    with store.snapshot() as work:
        assert versions.latest(work, "support") is None
