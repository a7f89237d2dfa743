"""What is active, who won, which generation: per agent and environment."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from retunable.errors import ReleaseStoreError
from retunable.release.store import deployments
from retunable.release.store.approvals import NoSuchVersion
from retunable.release.store.deployments import Conflict
from tests.contract.release.steps import begin, deploy, intent, save

if TYPE_CHECKING:
    from retunable.release.store.records import Deployment
    from retunable.release.store.release_store import ReleaseStore
    from tests.contract.release.homes import Home


def active(
    store: ReleaseStore, agent: str = "support", environment: str = "production"
) -> Deployment | None:
    with store.snapshot() as work:
        return deployments.active(work, agent, environment=environment)


@pytest.fixture
def three(store: ReleaseStore) -> ReleaseStore:
    """Three versions of ``support``, none of them active."""
    for role in "abc":
        save(store, role=role)
    return store


def test_what_was_begun_is_pending_and_not_active(three: ReleaseStore) -> None:
    begun = begin(three, 1)

    assert begun.state == "pending"
    assert active(three) is None


def test_what_was_confirmed_is_active(three: ReleaseStore) -> None:
    begun = begin(three, 1)
    with three.transaction() as work:
        confirmed = deployments.confirm(work, begun)

    assert active(three) == confirmed
    assert (confirmed.state, confirmed.generation, confirmed.version) == ("confirmed", 1, 1)


def test_what_was_withdrawn_never_becomes_active(three: ReleaseStore) -> None:
    first = deploy(three, 1)
    begun = begin(three, 2)
    with three.transaction() as work:
        deployments.withdraw(work, begun, reason="a newer generation is published")

    assert active(three) == first
    with pytest.raises(ReleaseStoreError, match="is withdrawn and cannot be confirmed"):
        confirm(three, begun)


def test_confirming_twice_is_one_confirmation(three: ReleaseStore, home: Home) -> None:
    begun = begin(three, 1)
    confirm(three, begun)
    confirm(three, begun)

    assert home.raw("SELECT count(*) FROM release_outcomes") == [(1,)]


def confirm(store: ReleaseStore, begun: Deployment) -> Deployment:
    with store.transaction() as work:
        return deployments.confirm(work, begun)


def test_begun_and_confirmed_in_one_transaction_or_not_at_all(three: ReleaseStore) -> None:
    def publication_fails() -> None:
        with three.transaction() as work:
            begun = deployments.begin(work, intent(1))
            assert isinstance(begun, deployments.Begun)
            deployments.confirm(work, begun.deployment)
            raise RuntimeError("the envelope was refused")

    with pytest.raises(RuntimeError, match="the envelope was refused"):
        publication_fails()
    with three.snapshot() as work:
        assert deployments.deployments(work, "support", environment="production") == ()


def test_a_generation_follows_the_stores_own_and_the_published_one(three: ReleaseStore) -> None:
    generations = [
        deploy(three, 1).generation,
        deploy(three, 2, published=1).generation,
        deploy(three, 3, published=40).generation,
        deploy(three, 1, published=2).generation,
    ]

    assert generations == [1, 2, 41, 42]


def test_a_withdrawn_generation_is_never_given_again(three: ReleaseStore) -> None:
    begun = begin(three, 1)
    with three.transaction() as work:
        deployments.withdraw(work, begun, reason="")

    assert begin(three, 1).generation == 2


def test_a_reset_has_a_generation_and_no_version(three: ReleaseStore) -> None:
    deploy(three, 1)
    deploy(three, None, action="reset")

    now = active(three)
    assert now is not None
    assert (now.generation, now.version, now.action) == (2, None, "reset")


def test_expecting_what_is_active_wins(three: ReleaseStore) -> None:
    assert deploy(three, 1, expect=0).version == 1
    assert deploy(three, 2, expect=1).version == 2


@pytest.mark.parametrize("expect", [0, 2])
def test_expecting_anything_else_loses_and_names_who_won(
    three: ReleaseStore, home: Home, expect: int
) -> None:
    with home.open(person="maria") as hers:
        won = deploy(hers, 1)

    with three.transaction() as work:
        lost = deployments.begin(work, intent(3, expect=expect))
    assert lost == Conflict(expect, won)
    assert won.stamp.actor == "maria"
    assert active(three) == won


def test_one_that_is_being_published_counts_as_the_winner(three: ReleaseStore) -> None:
    deploy(three, 1)
    pending = begin(three, 2)

    with three.transaction() as work:
        lost = deployments.begin(work, intent(3, expect=1))
    assert lost == Conflict(1, pending)


def test_a_version_that_is_not_there_is_named_with_the_latest(three: ReleaseStore) -> None:
    with three.transaction() as work:
        missing = deployments.begin(work, intent(9))

    assert missing == NoSuchVersion("support", 9, latest=3)


def test_nothing_crosses_agents_or_environments(store: ReleaseStore) -> None:
    for agent in ("support", "sales"):
        save(store, agent, role="a")
        save(store, agent, role="b")
    deploy(store, 1)
    deploy(store, 2, environment="staging")
    deploy(store, 2, agent="sales", published=7)

    found = [
        active(store, agent, environment)
        for agent in ("support", "sales")
        for environment in ("production", "staging")
    ]
    assert [d and (d.version, d.generation) for d in found] == [(1, 1), (2, 1), (2, 8), None]
    with store.snapshot() as work:
        assert deployments.environments(work, "support") == ("production", "staging")


def test_a_late_confirmation_does_not_replace_a_higher_generation(three: ReleaseStore) -> None:
    slow, quick = begin(three, 1), begin(three, 2)
    confirm(three, quick)
    confirm(three, slow)

    now = active(three)
    assert now is not None
    assert now.version == 2


def test_what_was_active_at_a_moment(three: ReleaseStore) -> None:
    first, second = deploy(three, 1), deploy(three, 2)
    begin(three, 3)
    assert first.settled_at is not None
    assert second.settled_at is not None

    moments = (first.settled_at - timedelta(milliseconds=1), first.settled_at, second.settled_at)
    with three.snapshot() as work:
        found = [
            deployments.active(work, "support", environment="production", at=moment)
            for moment in moments
        ]
    # On SQLite two deployments may fall into one millisecond; then the later one was active.
    same = first.settled_at == second.settled_at
    assert [d and d.version for d in found] == [None, 2 if same else 1, 2]


def test_revocations_add_up_and_activating_takes_one_back(three: ReleaseStore) -> None:
    bad = deploy(three, 1).checksum
    worse = deploy(three, 2).checksum
    assert bad is not None
    assert worse is not None

    revoked = [
        deploy(three, 3, revoke=(bad,)).parts["revoked"],
        deploy(three, 3, revoke=(worse, bad)).parts["revoked"],
        deploy(three, 1).parts["revoked"],
    ]
    assert revoked == [[bad], [bad, worse], [worse]]


def test_the_publishers_own_parts_and_data_come_back(three: ReleaseStore) -> None:
    parts = {"flags": [{"name": "a||b"}]}
    data = {"clear": {"agent_role": "naïve\n"}}
    deployed = deploy(three, 1, parts=parts, data=data)

    assert deployed.parts == {**parts, "revoked": []}
    assert deployed.data == data


def test_pending_ones_are_listed_until_they_are_settled(three: ReleaseStore) -> None:
    first, second = begin(three, 1), begin(three, 2)
    confirm(three, first)

    with three.snapshot() as work:
        assert deployments.pending(work, "support", environment="production") == (second,)
