"""Policies, and the approvals that they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from retunable.release.store import approvals, deployments, policies
from retunable.release.store.approvals import Approved, NoSuchVersion, OwnVersion
from retunable.release.store.deployments import Begun, NotApproved
from retunable.release.store.records import Policy
from tests.contract.release.steps import deploy, intent, save

if TYPE_CHECKING:
    from retunable.release.store.release_store import ReleaseStore
    from tests.contract.release.homes import Home


def approve(home: Home, person: str, number: int = 1, environment: str = "production") -> object:
    with home.open(person=person) as store, store.transaction() as work:
        return approvals.approve(work, "support", number, environment=environment, reason="read it")


def ask_for(store: ReleaseStore, people: int, environment: str = "production") -> None:
    with store.transaction() as work:
        policies.set_policy(
            work, "support", environment=environment, reason="rule", require_approval=people
        )


def begun(store: ReleaseStore, number: int = 1, **parts: object) -> object:
    with store.transaction() as work:
        return deployments.begin(work, intent(number, **parts))


@pytest.fixture
def guarded(home: Home, store: ReleaseStore) -> ReleaseStore:
    """Version 1 is by maria; production asks for two people."""
    with home.open(person="maria") as hers:
        save(hers, role="a")
    ask_for(store, 2)
    return store


def test_a_version_waits_for_as_many_people_as_the_policy_asks(
    home: Home, guarded: ReleaseStore
) -> None:
    outcomes = [begun(guarded)]
    for person in ("ben", "chloe"):
        approve(home, person)
        outcomes.append(begun(guarded))

    assert [type(outcome) for outcome in outcomes] == [NotApproved, NotApproved, Begun]
    assert isinstance(outcomes[1], NotApproved)
    assert outcomes[1].needed == 2
    assert [approval.stamp.actor for approval in outcomes[1].approvals] == ["ben"]


def test_the_author_does_not_approve(home: Home, guarded: ReleaseStore) -> None:
    assert isinstance(approve(home, "maria"), OwnVersion)
    with guarded.snapshot() as work:
        assert list(work.rows("detail_of_approvals")) == []


def test_one_person_counts_once(home: Home, guarded: ReleaseStore) -> None:
    first, second = approve(home, "ben"), approve(home, "ben")

    assert isinstance(first, Approved)
    assert second == Approved(first.approval, again=True)
    assert isinstance(begun(guarded), NotApproved)


def test_an_approval_holds_for_one_version_in_one_environment(
    home: Home, guarded: ReleaseStore
) -> None:
    with home.open(person="maria") as hers:
        save(hers, role="b")
    ask_for(guarded, 1)
    ask_for(guarded, 1, environment="staging")
    approve(home, "ben", 1, "staging")

    assert isinstance(begun(guarded, 1), NotApproved)
    assert isinstance(begun(guarded, 2, environment="staging"), NotApproved)
    assert isinstance(begun(guarded, 1, environment="staging"), Begun)


def test_a_claimed_name_approves_nothing(home: Home, guarded: ReleaseStore) -> None:
    with home.open(person="maria") as hers, hers.transaction(claimed="ben") as work:
        outcome = approvals.approve(work, "support", 1, environment="production", reason="")

    assert isinstance(outcome, OwnVersion)


def test_a_rollback_to_what_ran_here_before_waits_for_nobody(home: Home) -> None:
    with home.open() as store:
        save(store, role="a")
        save(store, role="b")
        deploy(store, 1)
        deploy(store, 2)
        ask_for(store, 3)

        assert isinstance(begun(store, 1), NotApproved)
        assert isinstance(begun(store, 1, action="rollback"), Begun)


def test_a_rollback_to_what_never_ran_here_waits_like_any_other(
    home: Home, guarded: ReleaseStore
) -> None:
    assert isinstance(begun(guarded, 1, action="rollback"), NotApproved)


def test_approving_a_version_that_is_not_there_names_the_latest(
    home: Home, guarded: ReleaseStore
) -> None:
    assert approve(home, "ben", 8) == NoSuchVersion("support", 8, latest=1)


def test_a_policy_has_revisions_and_the_last_one_holds(store: ReleaseStore) -> None:
    ask_for(store, 2)
    ask_for(store, 0)

    with store.snapshot() as work:
        found = policies.policies(work, "support", environment="production")
        elsewhere = policies.policy(work, "support", environment="staging")
    assert [(policy.revision, policy.require_approval) for policy in found] == [(2, 0), (1, 2)]
    assert elsewhere == Policy(agent="support", environment="staging")


def test_a_policy_that_stands_already_makes_no_revision(store: ReleaseStore) -> None:
    ask_for(store, 2)
    with store.transaction() as work:
        again = policies.set_policy(
            work, "support", environment="production", reason="", require_approval=2
        )

    assert (again.changed, again.policy.revision) == (False, 1)


def test_a_required_evaluation_is_kept_and_said_not_to_be_honoured(store: ReleaseStore) -> None:
    with store.transaction() as work:
        outcome = policies.set_policy(
            work, "support", environment="production", reason="", require_evaluation=True
        )

    assert outcome.policy.require_evaluation
    assert outcome.not_honoured == ("require_evaluation",)
