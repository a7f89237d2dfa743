"""Activating: pointer, audit and publication together, over every pair of stores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from retunable.config.items import Item
from retunable.errors import ConfigurationError
from retunable.release.documents import json_text
from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.one_database import is_one_database
from retunable.release.publishing.operations import Return, override, promote, roll_back
from retunable.release.publishing.outcomes import (
    Activated,
    Changed,
    NeverActive,
    NothingBefore,
    Unpublishable,
)
from retunable.release.publishing.site import ControlPlane, look
from retunable.release.publishing.state import Published, publish, state
from retunable.release.store import audit, deployments, policies, versions
from retunable.release.store.approvals import NoSuchVersion
from retunable.release.store.deployments import Conflict, NotApproved
from tests.contract.publication.worlds import SITE, World, published, put, running, save
from tests.unit.config.signers import OURS

STAGING = replace(SITE, environment="staging", prefix="staging/")
OTHER = replace(SITE, agent="other-bot", prefix="other/")
ROLE = "live/agent_role"


def test_one_database_is_told_from_two(plane: ControlPlane, world: World) -> None:
    assert is_one_database(plane) is world.together


def test_what_is_activated_is_what_agents_read(plane: ControlPlane) -> None:
    outcome = put(plane, SITE, save(plane, "First"))

    assert running(plane) == (1, 1, "First")
    assert outcome.deployment.state == "confirmed"
    assert published(plane)["stable"]["checksum"] == outcome.deployment.checksum


def test_each_activation_has_the_next_generation(plane: ControlPlane) -> None:
    first, second = save(plane, "First"), save(plane, "Second")
    for version in (first, second, first):
        put(plane, SITE, version)

    assert running(plane) == (3, 1, "First")


def test_nothing_crosses_between_agents_and_environments(plane: ControlPlane) -> None:
    put(plane, SITE, save(plane, "Ours"))
    put(plane, SITE, save(plane, "Ours again"))
    put(plane, STAGING, 1)
    put(plane, OTHER, save(plane, "Theirs", agent="other-bot"))

    assert running(plane, SITE) == (2, 2, "Ours again")
    assert running(plane, STAGING) == (1, 1, "Ours")
    assert running(plane, OTHER) == (1, 1, "Theirs")


def test_a_store_that_belongs_to_another_environment_is_refused(plane: ControlPlane) -> None:
    put(plane, SITE, save(plane, "Ours"))
    sharing = replace(STAGING, prefix=SITE.prefix)
    outcome = activate(plane, sharing, Wish(version=1, reason="x"))

    assert isinstance(outcome, Unpublishable)
    assert "prefix of its own" in outcome.reason
    assert running(plane) == (1, 1, "Ours")


def test_a_version_that_is_not_there_is_named(plane: ControlPlane) -> None:
    save(plane, "Only")

    outcome = activate(plane, SITE, Wish(version=2, reason="x"))

    assert outcome == NoSuchVersion(SITE.agent, 2, latest=1)


def test_who_expected_another_version_loses_to_who_won(plane: ControlPlane) -> None:
    for role in ("First", "Second", "Third"):
        save(plane, role)
    put(plane, SITE, 1)
    winner = put(plane, SITE, 2, expect=1).deployment

    loser = activate(plane, SITE, Wish(version=3, reason="x", expect=1))

    assert isinstance(loser, Conflict)
    assert loser.winner is not None
    assert loser.winner.stamp == winner.stamp
    assert running(plane)[1] == 2


def test_without_enough_approvals_nothing_is_activated(plane: ControlPlane) -> None:
    save(plane, "First")
    with plane.store.transaction() as work:
        policies.set_policy(
            work, SITE.agent, environment="production", reason="care", require_approval=1
        )

    assert isinstance(activate(plane, SITE, Wish(version=1, reason="x")), NotApproved)
    assert plane.publisher.read([SITE.document]) == {}
    put(plane, STAGING, 1)


def test_overrides_go_with_an_activation_and_are_named(plane: ControlPlane) -> None:
    save(plane, "First")
    plane.publisher.write({ROLE: "By hand", "agent_goal": "of another agent"})
    shown = look(plane, SITE)

    outcome = put(plane, SITE, 1)

    assert outcome.cleared == shown.overrides
    assert plane.publisher.read([ROLE]) == {}
    assert list(plane.publisher.read(["agent_goal"])) == ["agent_goal"]


def test_overrides_are_kept_on_request(plane: ControlPlane) -> None:
    save(plane, "First")
    plane.publisher.write({ROLE: "By hand"})

    assert put(plane, SITE, 1, keep_overrides=True).cleared == {}
    assert list(plane.publisher.read([ROLE])) == [ROLE]


def test_an_override_that_changed_after_it_was_shown_stops_the_activation(
    plane: ControlPlane,
) -> None:
    save(plane, "First")
    plane.publisher.write({ROLE: "Shown"})
    shown = look(plane, SITE)
    plane.publisher.write({ROLE: "Changed"})

    outcome = activate(plane, SITE, Wish(version=1, reason="x"), shown=shown)

    assert outcome == Changed((ROLE,))
    assert plane.publisher.read([SITE.document]) == {}
    with plane.store.snapshot() as work:
        assert deployments.active(work, SITE.agent, environment="production") is None
        assert deployments.pending(work, SITE.agent, environment="production") == ()


def test_the_audit_shows_what_was_cleared(plane: ControlPlane) -> None:
    save(plane, "First")
    plane.publisher.write({ROLE: "By hand"})
    put(plane, SITE, 1)
    with plane.store.snapshot() as work:
        [entry] = [e for e in audit.entries(work) if e.action == "activate"]

    assert entry.data["data"]["overrides"][ROLE][0] == "By hand"


def test_a_generation_goes_on_above_what_is_published(plane: ControlPlane) -> None:
    save(plane, "First")
    theirs = {"retunable": 1, "agent": SITE.agent, "environment": "production", "generation": 41}
    plane.publisher.write({SITE.document: json_text(theirs)})

    assert put(plane, SITE, 1).deployment.generation == 42


def test_promotion_takes_only_what_ran_there(plane: ControlPlane) -> None:
    save(plane, "First")
    wish = Wish(version=1, reason="ready")

    assert promote(plane, SITE, wish, origin="staging") == NeverActive(1, "staging")
    put(plane, STAGING, 1)
    assert isinstance(promote(plane, SITE, wish, origin="staging"), Activated)
    assert running(plane) == (1, 1, "First")


def test_a_rollback_goes_to_the_version_before_and_further(plane: ControlPlane) -> None:
    for role in ("First", "Second", "Third"):
        put(plane, SITE, save(plane, role))

    roll_back(plane, SITE, Return(reason="worse"))
    assert running(plane) == (4, 2, "Second")
    roll_back(plane, SITE, Return(reason="still"))
    assert running(plane) == (5, 1, "First")
    assert roll_back(plane, SITE, Return(reason="more")) == NothingBefore()


def test_a_revoking_rollback_names_the_bad_checksum_for_good(plane: ControlPlane) -> None:
    put(plane, SITE, save(plane, "Good"))
    bad = put(plane, SITE, save(plane, "Bad")).deployment.checksum

    roll_back(plane, SITE, Return(reason="it lies", revoke=True))
    put(plane, SITE, save(plane, "Better"))

    assert published(plane)["revoked"] == [bad]


def test_a_rollback_as_new_writes_the_old_data_again(plane: ControlPlane) -> None:
    put(plane, SITE, save(plane, "Good"))
    put(plane, SITE, save(plane, "Bad"))

    outcome = roll_back(plane, SITE, Return(reason="it lies", as_new=True))

    assert isinstance(outcome, Activated)
    assert running(plane) == (3, 3, "Good")
    with plane.store.snapshot() as work:
        saved = versions.version(work, SITE.agent, 3)
        assert saved is not None
        assert saved.parent == 1


ENDS = "2999-01-01T00:00:00Z"
EMERGENCY = {"max_iterations": {"value": 1, "expires_at": ENDS}}


def test_an_override_is_published_inside_the_envelope_of_the_same_version(
    plane: ControlPlane,
) -> None:
    put(plane, SITE, save(plane, "First"))
    outcome = override(plane, SITE, EMERGENCY, reason="it loops")

    assert isinstance(outcome, Activated)
    assert (running(plane)[:2], outcome.deployment.action) == ((2, 1), "override")
    assert published(plane)["overrides"] == EMERGENCY


def test_overrides_add_up_and_one_can_be_ended(plane: ControlPlane) -> None:
    put(plane, SITE, save(plane, "First"))
    override(plane, SITE, EMERGENCY, reason="it loops")
    override(plane, SITE, {"role": {"value": "Careful", "expires_at": ENDS}}, reason="and more")
    assert published(plane)["overrides"].keys() == {"max_iterations", "role"}

    override(plane, SITE, {"role": None}, reason="mended")
    assert published(plane)["overrides"] == EMERGENCY


def test_the_next_activation_ends_overrides_unless_they_are_kept(plane: ControlPlane) -> None:
    put(plane, SITE, save(plane, "First"))
    override(plane, SITE, EMERGENCY, reason="it loops")
    put(plane, SITE, save(plane, "Second"), keep_overrides=True)
    assert published(plane)["overrides"] == EMERGENCY

    put(plane, SITE, save(plane, "Third"))
    assert "overrides" not in published(plane)


def test_an_override_that_no_agent_could_take_is_refused_before(plane: ControlPlane) -> None:
    put(plane, SITE, save(plane, "First"))
    wrong = {"max_iterations": {"value": 0, "expires_at": ENDS}}

    outcome = override(plane, SITE, wrong, reason="typing")

    assert isinstance(outcome, Unpublishable)
    assert running(plane)[0] == 1


def test_with_a_key_it_is_signed_and_an_unsigned_one_does_not_follow(world: World) -> None:
    with world.plane(key=OURS) as signing:
        put(signing, SITE, save(signing, "Signed"))
        assert published(signing)["signature"]["key"] == OURS.id
        save(signing, "Next")
    with world.plane() as careless:
        outcome = activate(careless, SITE, Wish(version=2, reason="x"))
        assert isinstance(outcome, Unpublishable)
        assert "signing key" in outcome.reason
        assert running(careless)[1] == 1


def test_what_is_active_and_published_has_no_drift(plane: ControlPlane) -> None:
    put(plane, SITE, save(plane, "First"))
    before = look(plane, SITE)

    assert state(plane, SITE).drift == ()
    assert publish(plane, SITE) == Published(
        settled=(), mended=(), deployment=state(plane, SITE).active
    )
    assert look(plane, SITE) == before


def _drift(plane: ControlPlane, text: str | None) -> None:
    put(plane, SITE, save(plane, "First"))
    put(plane, SITE, save(plane, "Second"))
    plane.publisher.write({SITE.document: text})
    assert len(state(plane, SITE).drift) == 1

    mended = publish(plane, SITE, reason="as it was")

    assert isinstance(mended, Published)
    assert len(mended.mended) == 1
    assert state(plane, SITE).drift == ()
    assert running(plane)[1:] == (2, "Second")


def test_a_lost_document_is_published_again(plane: ControlPlane) -> None:
    _drift(plane, None)


def test_a_document_by_hand_is_replaced(plane: ControlPlane) -> None:
    _drift(plane, '{"role": "By hand"}')


def test_an_altered_envelope_is_mended_under_its_generation(plane: ControlPlane) -> None:
    owner = {"retunable": 1, "agent": SITE.agent, "environment": "production"}
    _drift(plane, json_text({**owner, "generation": 2, "stable": {}}))
    assert running(plane)[0] == 2


def test_a_higher_generation_by_hand_is_overtaken(plane: ControlPlane) -> None:
    owner = {"retunable": 1, "agent": SITE.agent, "environment": "production"}
    _drift(plane, json_text({**owner, "generation": 9, "stable": {}}))
    assert running(plane)[0] == 10


@pytest.mark.parametrize(
    "signature", [None, {"key": "x", "value": "x"}, {"key": OURS.id, "value": "x"}]
)
def test_a_signature_altered_by_hand_is_drift_and_only_a_key_mends_it(
    world: World, signature: Any
) -> None:
    with world.plane(key=OURS) as signing:
        put(signing, SITE, save(signing, "Signed"))
        right = published(signing)
        signing.publisher.write({SITE.document: json_text(right | {"signature": signature})})

        with world.plane() as careless:
            assert len(state(careless, SITE).drift) == 1
            with pytest.raises(ConfigurationError, match="name a signing key"):
                publish(careless, SITE)
        assert isinstance(publish(signing, SITE), Published)
        assert published(signing) == right


def test_a_text_survives_byte_for_byte(plane: ControlPlane) -> None:
    role = "'; DROP TABLE x; -- Zoë 你好 \u2028 {{7*7}} \\ \" \r\n\t\x01 | || \U0001f600"
    put(plane, SITE, save(plane, role))

    item = plane.publisher.read([SITE.document])[SITE.document]
    assert isinstance(item, Item)
    assert running(plane)[2] == role
