"""What stands for a user: the same within a scope, and nothing beyond it."""

from __future__ import annotations

from datetime import UTC, datetime

from retunable.config.targeting import ListKey
from retunable.events.pseudonym import pseudonym, scope_of

SECRET = b"secret of the test"
MONDAY = datetime(2026, 11, 16, tzinfo=UTC)


def test_a_user_of_a_rollout_is_recognised() -> None:
    scopes = (scope_of("r-1", MONDAY), scope_of("r-1", datetime(2027, 1, 1, tzinfo=UTC)))
    assert len({pseudonym(SECRET, scope, "zoe") for scope in scopes}) == 1


def test_a_vector_for_other_languages() -> None:
    assert pseudonym(SECRET, "rollout r-1", "Zoë") == (
        "bed96f4737f722ea30662a358dd20e7c871dcdb6279592b9410de4e02063ef3b"
    )


def test_another_rollout_user_or_secret_is_another_pseudonym() -> None:
    made = {
        pseudonym(secret, scope_of(rollout, MONDAY), user)
        for secret in (SECRET, b"other")
        for rollout in ("r-1", "r-2")
        for user in ("zoe", "max")
    }
    assert len(made) == 8


def test_outside_of_rollouts_a_user_is_recognised_for_a_week() -> None:
    sunday, next_monday = datetime(2026, 11, 22, 23, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
    assert scope_of(None, MONDAY) == scope_of(None, sunday) != scope_of(None, next_monday)


def test_a_flags_list_has_another_hash_of_the_same_user() -> None:
    assert pseudonym(SECRET, "f", "zoe")[:32] != ListKey.of(SECRET).listed_as("f", "zoe")
