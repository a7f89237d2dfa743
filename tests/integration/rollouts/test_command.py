"""``retune canary`` on the embedded backend, as a person types it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from retunable.cli import main
from retunable.cli.canary_status import follow, live_rollout, look
from retunable.cli.exits import ExitCode
from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.cli.releasing import release_desk
from retunable.cli.where import Where
from retunable.release.opening import open_publisher
from retunable.release.publishing.rollouts import Move, carry_out
from retunable.release.store.rollouts import RolloutState
from retunable.release.store_url import StoreURL
from tests.integration.rollouts.world import SITE, World

pytestmark = pytest.mark.timeout(120)
WHY = ("-m", "test")


class Retune:
    """Runs commands against one world."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self._capsys = capsys

    def __call__(
        self, *arguments: str, code: ExitCode = ExitCode.OK, releases: str | None = None
    ) -> dict[str, Any]:
        place = (
            "--env",
            SITE.environment,
            "--prefix",
            SITE.prefix,
            "--store",
            self.world.store_url,
        )
        there = ("--releases", releases or self.world.releases)
        verb, *rest = arguments
        assert main(["canary", verb, SITE.agent, *rest, *place, *there, "--json"]) == code
        said = json.loads(self._capsys.readouterr().out)
        assert isinstance(said, dict)
        return said

    def text(self, *arguments: str) -> str:
        place = (
            "--env",
            SITE.environment,
            "--prefix",
            SITE.prefix,
            "--store",
            self.world.store_url,
        )
        verb, *rest = arguments
        main(["canary", verb, SITE.agent, *rest, *place, "--releases", self.world.releases])
        return self._capsys.readouterr().out


@pytest.fixture
def retune(world: World, capsys: pytest.CaptureFixture[str]) -> Retune:
    return Retune(world, capsys)


@pytest.fixture
def started(retune: Retune) -> str:
    return str(retune("start", "2", "--anyway", *WHY)["rollout"])


def test_what_nobody_knows_to_finish_is_not_started(retune: Retune, world: World) -> None:
    said = retune("start", "2", *WHY, code=ExitCode.ERROR)

    assert said["outcome"] == "cannot_finish"
    assert world.snapshot().canary is None


def test_a_start_publishes_and_says_what_it_knows(retune: Retune, world: World) -> None:
    said = retune("start", "2", "--anyway", "--stages", "10,50", *WHY)

    assert said["obstacles"]
    canary, rollout = world.snapshot().canary, world.snapshot().rollout
    assert canary is not None
    assert rollout is not None
    assert (canary.version, rollout.stages, rollout.id) == (2, (1000, 5000), said["rollout"])


def test_a_second_start_is_refused(retune: Retune, started: str) -> None:
    assert retune("start", "2", "--anyway", *WHY, code=ExitCode.ERROR)["outcome"] == "already_live"


def test_a_policy_with_a_wrong_name_starts_nothing(retune: Retune, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("alhpa: 0.01\n")
    said = retune("start", "2", "--anyway", "--policy", str(file), *WHY, code=ExitCode.USAGE)

    assert "did you mean alpha?" in said["error"]


@pytest.mark.parametrize(
    ("metric", "said"), [("costly", "prices="), ("slow", "no run of last week")]
)
def test_a_metric_that_nothing_tells_of_cannot_be_judged(
    retune: Retune, world: World, tmp_path: Path, metric: str, said: str
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(f"judged: [error, {{metric: {metric}, margin: 0.02}}]\n")
    found = retune("start", "2", "--anyway", "--policy", str(file), *WHY, code=ExitCode.USAGE)

    assert said in found["error"]
    assert world.snapshot().canary is None


def test_a_policy_is_kept_with_the_rollout(retune: Retune, world: World, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("judged: [{metric: error, margin: 0.02}]\nstage_users: 7\n")
    options = ("--anyway", "--policy", str(file), "--window", "90s", "--deadline", "2d")
    started = retune("start", "2", *options, *WHY)["rollout"]

    policy = world.rollout(started).plan["policy"]
    kept = {name: policy[name] for name in ("stage_users", "window_seconds", "deadline_seconds")}
    assert kept == {"stage_users": 7, "window_seconds": 90, "deadline_seconds": 172_800}
    assert policy["judged"] == [{"metric": "error", "margin": 0.02}]


def test_an_override_that_hides_the_difference_is_named(retune: Retune, world: World) -> None:
    publisher = open_publisher(StoreURL.parse(world.store_url))
    publisher.write({"live/agent_role": "By hand"})
    publisher.close()

    assert (
        "override of role" in retune("start", "2", "--anyway", *WHY, code=ExitCode.ERROR)["error"]
    )


def test_status_shows_the_verdict_and_draws_it(retune: Retune, started: str) -> None:
    said = retune("status")
    assert said["rollout"]["state"] == "running"
    assert said["verdict"]["decision"] == "continue"

    text = retune.text("status")
    assert "version 2 is running at 1 % (stage 1 of 4)" in text
    assert "0.00 to ∞" in text


def watched(
    world: World, pauses: Sequence[RolloutState | None], *, as_json: bool = True
) -> ExitCode:
    """Follow the rollout; in each pause it is moved or left alone, and Ctrl-C comes after the last."""
    where = Where(
        agent=SITE.agent,
        environment=SITE.environment,
        prefix=SITE.prefix,
        store=world.store_url,
    )
    left = iter(pauses)
    with release_desk(Place(where=where, releases=world.releases)) as desk:
        row = live_rollout(desk)

        def pause() -> None:
            try:
                state = next(left)
            except StopIteration:
                raise KeyboardInterrupt from None
            if state is not None:
                carry_out(desk.plane, desk.site, Move(rollout=row.id, state=state, reason="x"))

        return follow(desk, look(desk, row), output=Output(as_json), pause=pause)


@pytest.mark.usefixtures("started")
def test_a_watched_status_gives_a_line_for_each_change_until_the_rollout_is_over(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watched(world, [None, "paused", None, "rolled back", "running"]) == ExitCode.OK

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["rollout"]["state"] for line in lines] == ["running", "paused", "rolled back"]


@pytest.mark.usefixtures("started")
def test_ctrl_c_ends_a_watched_status_and_is_no_failure(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watched(world, [None, None], as_json=False) == ExitCode.OK
    assert capsys.readouterr().out.count("version 2 is running at 1 %") == 1


@pytest.mark.usefixtures("started")
def test_watching_a_rollout_that_is_over_shows_its_end(retune: Retune) -> None:
    retune("promote", *WHY)
    assert retune("status", "--watch")["rollout"]["state"] == "promoted"


def test_pause_resume_and_promote_are_what_a_person_decides(
    retune: Retune, world: World, started: str
) -> None:
    assert retune("pause", *WHY)["rollout"]["state"] == "paused"
    assert retune("resume", *WHY)["rollout"]["state"] == "running"
    assert retune("promote", *WHY)["rollout"]["state"] == "promoted"
    assert (world.snapshot().version, world.snapshot().canary) == (2, None)


def test_an_abort_does_without_the_release_store_and_it_learns_of_it(
    retune: Retune, world: World, started: str
) -> None:
    away = "postgresql://nobody@127.0.0.1:1/nowhere"
    assert retune("abort", *WHY, releases=away)["written_down"] is False
    assert world.snapshot().canary is None
    assert world.rollout(started).is_live

    place = ("--env", SITE.environment, "--prefix", SITE.prefix, "--store", world.store_url)
    assert main(["publish", SITE.agent, *place, "--releases", world.releases]) == ExitCode.OK
    assert world.rollout(started).state == "aborted"
    assert world.snapshot().canary is None


def test_without_a_canary_there_is_nothing_to_abort(retune: Retune) -> None:
    assert "no canary" in retune("abort", *WHY, code=ExitCode.ERROR)["error"]
