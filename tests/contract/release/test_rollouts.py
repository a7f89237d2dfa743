"""Rollouts: one live for each agent and environment, decided in steps that nothing takes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from retunable.errors import ReleaseStoreError
from retunable.release.store import rollouts, versions
from retunable.release.store.rollouts import AlreadyLive, Draft, Rollout
from retunable.release.store.verifying import verify
from tests.contract.release.steps import save

if TYPE_CHECKING:
    from retunable.release.store.release_store import ReleaseStore
    from tests.contract.release.homes import Home

INSERT = """INSERT INTO release_rollouts (sequence, id, agent, environment, version, checksum)
    SELECT (SELECT max(sequence) FROM release_audit), 'by hand', agent, 'production', number, checksum
    FROM release_versions WHERE agent = 'support' AND number = 1"""


def begin(store: ReleaseStore, name: str = "r1", environment: str = "production") -> Rollout:
    outcome = try_to_begin(store, name, environment)
    assert isinstance(outcome, Rollout)
    return outcome


def try_to_begin(
    store: ReleaseStore, name: str = "r1", environment: str = "production"
) -> Rollout | AlreadyLive:
    with store.transaction() as work:
        chosen = versions.version(work, "support", 1)
        assert chosen is not None
        draft = Draft(
            id=name,
            agent="support",
            environment=environment,
            version=1,
            checksum=chosen.checksum,
            reason="try it",
            plan={"salt": "s"},
        )
        return rollouts.begin(work, draft)


@pytest.fixture
def begun(store: ReleaseStore) -> Rollout:
    save(store)
    return begin(store)


def test_a_rollout_begins_running_with_its_plan(begun: Rollout) -> None:
    assert (begun.state, begun.stage, begun.is_live, begun.plan) == (
        "running",
        0,
        True,
        {"salt": "s"},
    )


def test_a_step_changes_what_it_is_and_the_number_to_decide_on(
    store: ReleaseStore, begun: Rollout
) -> None:
    with store.transaction() as work:
        grown = rollouts.take_step(
            work, begun, state="running", stage=1, reason="grow", numbers={"users": 60}
        )
        [step] = rollouts.steps(work, begun.id)

    assert (grown.stage, grown.step > begun.step) == (1, True)
    assert (step.numbers, step.stamp.reason) == ({"users": 60}, "grow")


def test_a_second_one_is_named_the_first(store: ReleaseStore, begun: Rollout) -> None:
    assert try_to_begin(store, "r2") == AlreadyLive(begun)


def test_the_database_itself_takes_no_second_one(
    home: Home, store: ReleaseStore, begun: Rollout
) -> None:
    with pytest.raises(home.refusals, match="goes on already"):
        home.raw(INSERT)


def test_another_environment_has_its_own(store: ReleaseStore, begun: Rollout) -> None:
    begin(store, "r2", environment="staging")
    with store.snapshot() as work:
        assert len(rollouts.all_live(work)) == 2


@pytest.mark.parametrize("end", sorted(rollouts.ENDS))
def test_an_end_is_final_and_makes_room(
    store: ReleaseStore, begun: Rollout, end: rollouts.RolloutState
) -> None:
    with store.transaction() as work:
        rollouts.take_step(work, begun, state=end, reason="over")
    with pytest.raises(ReleaseStoreError, match="has ended"), store.transaction() as work:
        rollouts.take_step(work, begun, state="running", reason="again")

    assert begin(store, "r2").is_live


def test_every_row_is_told_by_the_audit(home: Home, store: ReleaseStore, begun: Rollout) -> None:
    with store.transaction() as work:
        rollouts.take_step(work, begun, state="held", reason="too late")
    with store.snapshot() as work:
        assert verify(work).intact
    home.unguarded("UPDATE release_rollout_steps SET state = 'promoted'")
    with store.snapshot() as work:
        assert not verify(work).intact
