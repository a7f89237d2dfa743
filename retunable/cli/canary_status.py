"""``retune canary status``: the verdict of this moment, or of each until the rollout is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from retunable.cli.canary_lines import lines
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.cli.release_json import plain
from retunable.cli.releasing import Desk, release_desk
from retunable.control.rollouts.controller import LOOK_SECONDS
from retunable.control.rollouts.following import Follower
from retunable.control.rollouts.judging import verdict_json
from retunable.release.store import rollouts, run_events
from retunable.release.store.rollouts import Rollout


@dataclass(frozen=True, slots=True)
class Shown:
    """A rollout as of one moment: as a row, as a person reads it, and as a program does."""

    row: Rollout
    lines: tuple[str, ...]
    facts: dict[str, Any]


def status(place: Place, *, watch: bool, output: Output) -> ExitCode:
    """Show the rollout that goes on, else the last one; once, or until it is over."""
    with release_desk(place) as desk:
        found = look(desk, _newest(desk))
        if watch:
            seconds = found.row.plan.get("look_seconds", LOOK_SECONDS)
            return follow(desk, found, output=output, pause=lambda: time.sleep(seconds))
    _say(found, output)
    return ExitCode.OK


def follow(desk: Desk, first: Shown, *, output: Output, pause: Callable[[], None]) -> ExitCode:
    """Show a rollout, and again whenever it has changed after a pause, until it is over or Ctrl-C."""
    now, said = first, None
    try:
        while True:
            if (shown := now.facts if output.as_json else now.lines) != said:
                output.line(time.strftime("%H:%M:%S"))
                _say(now, output)
                said = shown
            if not now.row.is_live:
                return ExitCode.OK
            pause()
            now = look(desk, now.row)
    except KeyboardInterrupt:
        return ExitCode.OK


def look(desk: Desk, rollout: Rollout) -> Shown:
    """Judge a rollout as it is now, from what is kept of it and nothing that a look before saw.

    A look holds no lock, so it may miss what is being written; were its evidence gone on with, a
    user would stay decided without that. What it reads anew is bounded by the checkpoint.
    """
    follower = Follower(rollout)
    follower.catch_up(desk.plane.store)
    with desk.plane.store.snapshot() as work:
        row = rollouts.rollout(work, rollout.id) or rollout
        verdict = follower.judge(work, row)
        steps = rollouts.steps(work, row.id)
        counts = [
            dict(one._mapping)
            for one in run_events.counts(
                work, row.agent, environment=row.environment, rollout=row.id
            )
        ]
    judged = verdict_json(verdict, follower.analysis)
    decided = (
        f"{step.stamp.at:%Y-%m-%d %H:%M:%S} {step.state}: {step.stamp.reason}"
        for step in steps[-3:]
    )
    return Shown(
        row=row,
        lines=(*lines(row, judged), *decided),
        facts={"rollout": plain(row), "verdict": judged, "runs": counts},
    )


def live_rollout(desk: Desk) -> Rollout:
    """Return the rollout that goes on; end the command where there is none."""
    row = _newest(desk)
    if not row.is_live:
        raise Stop(
            f"no rollout of {row.agent} goes on in {row.environment}; the last was {row.state}"
        )
    return row


def _say(found: Shown, output: Output) -> None:
    for line in found.lines:
        output.line(line)
    output.result(found.facts)


def _newest(desk: Desk) -> Rollout:
    site = desk.site
    with desk.plane.store.snapshot() as work:
        found = rollouts.rollouts(work, site.agent, environment=site.environment)
    if not found:
        raise Stop(f"{site.agent} never had a canary in {site.environment}: retune canary start")
    return found[0]
