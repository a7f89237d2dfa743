"""From rows to the analysis: the same for who followed all along and for who starts anew."""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from math import inf
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import pytest

from retunable.control.rollouts import following
from retunable.control.rollouts.following import Follower
from retunable.events.event import Exposure, Outcome
from retunable.release.store import checkpoints, rollouts, run_events
from retunable.release.store.checkpoints import Checkpoint
from retunable.release.store.rollouts import Draft, Rollout
from retunable.rollout.metrics import Metric
from tests.contract.release.steps import save

if TYPE_CHECKING:
    from retunable.release.store.release_store import ReleaseStore
    from tests.contract.release.homes import Home

BASIS: dict[str, Any] = {
    "stable_checksum": "s",
    "canary_checksum": "c",
    "flags": "f",
    "tools": None,
    "overrides": [],
}
PLAN = {
    "share": {"id": "r1", "salt": "s", "stages": [50], "control_percent": None},
    "policy": {"window_seconds": 0.05, "run_timeout_seconds": 0.05},
    "limits": {},
    "basis": BASIS,
}


@pytest.fixture
def row(store: ReleaseStore) -> Rollout:
    saved = save(store)
    with store.transaction() as work:
        draft = Draft(
            id="r1",
            agent="support",
            environment="production",
            version=1,
            checksum=saved.checksum,
            reason="x",
            plan=PLAN,
        )
        begun = rollouts.begin(work, draft)
    assert isinstance(begun, Rollout)
    return begun


def runs(
    luck: random.Random, at_ms: int, users: range, code: str = "old"
) -> tuple[list[Exposure], list[Outcome]]:
    """Runs of some users, most of which end; several begin twice."""
    began, ended = [], []
    for user in users:
        arm = luck.choice(["canary", "stable"])
        told: dict[str, Any] = {
            "agent": "support",
            "environment": "production",
            "replica": "a",
            "at_ms": at_ms,
            "run_id": f"run-{user}-{luck.randint(0, 1)}",
            "bucket": 1,
            "arm": arm,
            "variant": arm,
            "cohort": 0,
            "rollout_id": "r1",
            "user_hmac": f"u{user}",
            "version": 1,
            "version_checksum": "c",
            "effective_checksum": "e",
            "tool_code": code,
        }
        began.append(Exposure(**told, event_id=str(uuid4())))
        if luck.random() < 0.8:
            state: Literal["finished", "failed"] = luck.choice(["finished", "failed"])
            ended.append(Outcome(**told, event_id=str(uuid4()), state=state))
    return began, ended


def told(store: ReleaseStore, luck: random.Random, users: range, code: str = "old") -> None:
    with store.snapshot() as work:
        at_ms = int(work.now.timestamp() * 1000)
    began, ended = runs(luck, at_ms, users, code)
    luck.shuffle(ended)
    late = ended[: len(ended) // 3]
    with store.transaction() as work:
        run_events.take_exposures(work, began)
        run_events.take_outcomes(work, ended[len(late) :])
    with store.transaction() as work:
        run_events.take_outcomes(work, late)


def compare_anew(store: ReleaseStore, row: Rollout, **basis: Any) -> None:
    """Write down that something else is compared from now on."""
    numbers: dict[str, Any] = {"basis": {**BASIS, **basis}}
    with store.transaction() as work:
        numbers["after"] = run_events.newest(work)
        rollouts.take_step(work, row, state="running", reason="test", numbers=numbers)


def look(follower: Follower, store: ReleaseStore, row: Rollout) -> list[dict[str, Any]]:
    with store.transaction() as work:
        follower.judge(work, row)
    return [asdict(counts) for counts in follower.analysis.counts]


def in_the_end(follower: Follower, store: ReleaseStore, row: Rollout) -> list[dict[str, Any]]:
    """What is counted once nobody is left to mature, however long two looks took."""
    look(follower, store, row)
    follower.analysis.mature(inf)
    return [asdict(counts) for counts in follower.analysis.counts]


@pytest.mark.parametrize("page", [3, 5_000])
def test_who_starts_anew_decides_as_who_followed_all_along(
    store: ReleaseStore, row: Rollout, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "PAGE", page)
    luck, followed = random.Random(3), Follower(row)
    for number in range(8):
        told(store, luck, range(10 * number, 10 * number + 15))
        look(followed, store, row)
    anew = Follower(row)
    anew.catch_up(store)

    assert in_the_end(anew, store, row) == in_the_end(followed, store, row)


def test_what_comes_after_a_decision_changes_nothing(store: ReleaseStore, row: Rollout) -> None:
    began, _ = runs(random.Random(1), 0, range(1))
    late = Outcome(
        **{**asdict(began[0]), "event_id": str(uuid4())},
        state="finished",
    )
    follower = Follower(row)
    with store.transaction() as work:
        run_events.take_exposures(work, began)
    while not sum(look(follower, store, row)[0]["matured"].values()):
        pass  # its window and its run's timeout are a tenth of a second
    with store.transaction() as work:
        run_events.take_outcomes(work, [late])
    counts = look(follower, store, row)

    errors = counts[0]["bad"][Metric.ERROR]
    assert errors["canary"] + errors["control"] == 1
    assert look(Follower(row), store, row) == counts


def test_a_restart_discards_what_came_before_it_for_whoever_starts_anew(
    store: ReleaseStore, row: Rollout
) -> None:
    luck, followed = random.Random(5), Follower(row)
    told(store, luck, range(20))
    look(followed, store, row)
    compare_anew(store, row, flags="g")
    told(store, luck, range(10, 40))

    counts = in_the_end(followed, store, row)
    assert 0 < counts[0]["enrolled"]["canary"] + counts[0]["enrolled"]["control"] <= 20
    assert followed.analysis.basis.flags == "g"
    assert followed.analysis.restarts == 1
    assert in_the_end(Follower(row), store, row) == counts


def test_other_tool_code_is_passed_over_and_then_compared_anew_by_whoever_follows(
    store: ReleaseStore, row: Rollout
) -> None:
    luck, followed = random.Random(5), Follower(row)
    told(store, luck, range(20), "old")
    told(store, luck, range(10, 40), "new")
    assert sum(look(followed, store, row)[0]["enrolled"].values()) <= 20
    assert followed.analysis.basis.tools == "old"
    compare_anew(store, row, tools="new")
    told(store, luck, range(60), "new")

    counts = in_the_end(followed, store, row)
    assert 0 < sum(counts[0]["enrolled"].values()) <= 20
    assert in_the_end(Follower(row), store, row) == counts


class Looks:
    """A follower that looks again and again, and in its place one that starts anew at each look."""

    def __init__(self, store: ReleaseStore, row: Rollout) -> None:
        self.store, self.row = store, row
        self.whole = Follower(row)
        self.rows_read = 0

    def look(self) -> None:
        anew = Follower(self.row)
        with self.store.transaction() as work:
            self.whole.judge(work, self.row)
            anew.judge(work, self.row)
            anew.keep(work)
        assert anew.analysis.counts == self.whole.analysis.counts
        assert anew.analysis.uncounted == self.whole.analysis.uncounted
        self.rows_read += anew.rows_read


@pytest.mark.parametrize("seed", range(3))
def test_who_starts_from_a_checkpoint_counts_as_who_read_everything_and_reads_the_rest_alone(
    store: ReleaseStore, row: Rollout, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "KEEP_EVERY", 1)
    monkeypatch.setattr(following, "PAGE", 7)
    luck, looks = random.Random(seed), Looks(store, row)
    for number in range(12):
        code = luck.choice(["old", "old", "new"])
        first = luck.randrange(10 * number + 1)
        told(store, luck, range(first, first + 12), code)
        looks.look()
        if number in (4, 8):
            compare_anew(store, row, flags=f"g{number}", tools=code)
            told(store, luck, range(20, 30), code)
    looks.look()

    assert looks.whole.analysis.restarts == 2
    assert looks.rows_read == looks.whole.rows_read


def test_a_checkpoint_on_another_basis_or_in_another_form_is_not_gone_on_from(
    store: ReleaseStore, row: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "KEEP_EVERY", 1)
    luck, looks = random.Random(1), Looks(store, row)
    told(store, luck, range(30))
    looks.look()
    with store.snapshot() as work:
        kept = checkpoints.checkpoint(work, row.id)
    assert kept is not None
    for change in ({"form": 0}, {"basis": {**BASIS, "flags": "other"}}):
        data = {**kept.data, "analysis": {**kept.data["analysis"], **change}}
        with store.transaction() as work:
            checkpoints.keep(work, row.id, Checkpoint(kept.arrived, data))
        anew = Follower(row)
        anew.catch_up(store)
        assert anew.rows_read == looks.whole.rows_read


def test_a_cohort_that_the_rollout_has_not_compares_nothing(
    store: ReleaseStore, row: Rollout
) -> None:
    began, _ = runs(random.Random(1), 0, range(1))
    with store.transaction() as work:
        run_events.take_exposures(work, [replace(began[0], cohort=7)])

    assert sum(look(Follower(row), store, row)[0]["enrolled"].values()) == 0


def test_a_checkpoint_goes_with_the_rows_of_its_users(
    home: Home, store: ReleaseStore, row: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "KEEP_EVERY", 0)
    Looks(store, row).look()
    with store.transaction() as work:
        run_events.forget_users(work)
        assert checkpoints.checkpoint(work, row.id) is not None
        rollouts.take_step(work, row, state="aborted", reason="test")
    home.unguarded(
        "UPDATE release_audit SET at = '2001-01-01T00:00:00.000Z' WHERE action = 'decide'"
    )
    with store.transaction() as work:
        run_events.forget_users(work)
        assert checkpoints.checkpoint(work, row.id) is None
