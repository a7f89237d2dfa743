"""Every store that was ever released is upgraded with its data and read as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from retunable.config.checksum import canonical
from retunable.release.store import approvals, deployments, policies, versions
from retunable.release.store.audit import entries
from retunable.release.store.deployments import NotApproved
from retunable.release.store.verifying import verify
from tests.contract.release.frozen import CORPUS, restore, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retunable.release.store.release_store import ReleaseStore
    from tests.contract.release.homes import Home

REVISIONS = [file.stem.removeprefix("revision_") for file in sorted(CORPUS.glob("*.json"))]


@pytest.fixture(params=REVISIONS)
def upgraded(request: pytest.FixtureRequest, empty: Home) -> Iterator[ReleaseStore]:
    """A store that was written at an older revision, upgraded by this package."""
    empty.migrate(to=request.param)
    restore(empty, request.param)
    empty.set_up()
    with empty.open() as store:
        yield store


@pytest.fixture
def rows(request: pytest.FixtureRequest) -> dict[str, list[dict[str, object]]]:
    return rows_of(request.node.callspec.params["upgraded"])


Rows = dict[str, list[dict[str, object]]]


def test_the_chain_of_an_older_store_holds(upgraded: ReleaseStore, rows: Rows) -> None:
    with upgraded.snapshot() as work:
        assert verify(work).problems == ()
        hashes = [entry.hash for entry in entries(work)]

    assert hashes == [row["hash"] for row in rows["release_audit"]]


def test_every_config_comes_back_byte_for_byte(upgraded: ReleaseStore, rows: Rows) -> None:
    with upgraded.snapshot() as work:
        found = {
            version.number: canonical(versions.config(work, version)).hex()
            for version in versions.versions(work, "support")
        }

    assert found == {row["number"]: row["config"] for row in rows["release_versions"]}


def test_every_config_is_one_of_todays(upgraded: ReleaseStore) -> None:
    with upgraded.snapshot() as work:
        first, second = reversed(versions.versions(work, "support"))
        assert versions.parsed_config(work, first).model == "gpt-5-mini"
        config = versions.parsed_config(work, second)

    assert config.instructions == ("one", "two\r\nlines\t\u2028")
    assert config.system_prompt == 'You are "x"\\ \x01\x7f'
    assert config.guardrails == {"length": {"max": 2000, "ratio": 1e-7}}


def test_what_was_active_and_pending_is_so_still(upgraded: ReleaseStore) -> None:
    with upgraded.snapshot() as work:
        active = deployments.active(work, "support", environment="production")
        (pending,) = deployments.pending(work, "support", environment="production")

    assert active is not None
    assert (active.version, active.generation, active.data) == (2, 7, CLEARED)
    assert (pending.version, pending.generation) == (1, 8)
    assert pending.parts == {"revoked": [active.checksum]}


CLEARED = {"clear": {"agent_role": "x"}}


def test_an_older_store_takes_new_versions(upgraded: ReleaseStore) -> None:
    from tests.contract.release.steps import save

    assert save(upgraded, role="new").number == 3
    with upgraded.snapshot() as work:
        assert verify(work).problems == ()


@pytest.mark.parametrize("upgraded", ["0002"], indirect=True)
def test_policies_and_approvals_are_kept_and_hold(upgraded: ReleaseStore) -> None:
    from tests.contract.release.steps import intent

    with upgraded.transaction() as work:
        version = versions.version(work, "support", 2)
        assert version is not None
        given = approvals.approvals(work, version, environment="staging")
        policy = policies.policy(work, "support", environment="staging")
        refused = deployments.begin(work, intent(2, environment="staging"))

    assert [approval.stamp.actor for approval in given] == ["ben", "chloe"]
    assert (policy.revision, policy.require_approval) == (1, 3)
    assert isinstance(refused, NotApproved)
