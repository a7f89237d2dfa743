"""``retune canary status``: the verdict of this moment, with each metric's interval drawn."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any, Final

from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.cli.release_json import plain
from retunable.cli.releasing import Desk, release_desk
from retunable.control.rollouts.following import Follower
from retunable.control.rollouts.judging import verdict_json
from retunable.release.store import rollouts, run_events
from retunable.release.store.rollouts import Rollout

WIDTH: Final = 41
_LOWEST, _HIGHEST = 0.1, 10.0
_WHY: Final = {
    "anonymous": "without a user",
    "outside": "of users outside the stages so far",
    "pinned": "of conversations pinned before",
    "other_tools": "on other tool code",
    "enrolled_before_restart": "of users compared before the evidence was discarded",
}


def status(place: Place, *, output: Output) -> ExitCode:
    """Show the rollout that goes on, else the last one."""
    with release_desk(place) as desk:
        row = _newest(desk)
        follower = Follower(row)
        follower.catch_up(desk.plane.store)
        with desk.plane.store.snapshot() as work:
            verdict = follower.judge(work, row)
            steps = rollouts.steps(work, row.id)
            counts = [
                dict(one._mapping)
                for one in run_events.counts(
                    work, row.agent, environment=row.environment, rollout=row.id
                )
            ]
    shown = verdict_json(verdict, follower.analysis)
    for line in lines(row, shown):
        output.line(line)
    for step in steps[-3:]:
        output.line(f"{step.stamp.at:%Y-%m-%d %H:%M:%S} {step.state}: {step.stamp.reason}")
    output.result({"rollout": plain(row), "verdict": shown, "runs": counts})
    return ExitCode.OK


def live_rollout(desk: Desk) -> Rollout:
    """Return the rollout that goes on; end the command where there is none."""
    row = _newest(desk)
    if not row.is_live:
        raise Stop(
            f"no rollout of {row.agent} goes on in {row.environment}; the last was {row.state}"
        )
    return row


def lines(row: Rollout, verdict: Mapping[str, Any]) -> list[str]:
    """Return what a person reads of a rollout and its verdict."""
    stages = row.plan["share"]["stages"]
    matured = verdict["matured"]
    said = [
        f"{row.agent} in {row.environment}: version {row.version} is {row.state} at "
        f"{stages[row.stage]:g} % (stage {row.stage + 1} of {len(stages)})",
        f"matured users: {matured['canary']} on the canary, {matured['control']} beside it",
        f"now: {verdict['decision']}, {verdict['reason']}",
    ]
    if left_out := _left_out(verdict["uncounted"]):
        said.append(f"runs that are not compared: {left_out}")
    if verdict["metrics"]:
        said.append(f"{'':24}{_scale()}  bad on canary, control; times as many as on stable")
    said += [_metric_line(metric) for metric in verdict["metrics"]]
    return said


def drawn(low: float, high: float | None) -> str:
    """Draw an interval of ratios on a logarithmic scale from 0.1 to 10, its middle at 1."""
    first, last = _column(low), _column(high)
    cells = ["·"] * WIDTH
    cells[first : last + 1] = ["━"] * (last - first + 1)
    cells[WIDTH // 2] = "┿" if first <= WIDTH // 2 <= last else "│"
    return "".join(cells)


def _left_out(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {_WHY[why]}" for why, count in counts.items() if count)


def _metric_line(metric: Mapping[str, Any]) -> str:
    low, high, bad = metric["ratio_low"], metric["ratio_high"], metric["bad"]
    upper = "∞" if high is None else f"{high:.2f}"
    return (
        f"  {metric['metric']:22}{drawn(low, high)}  "
        f"{bad['canary']}, {bad['control']}; {low:.2f} to {upper}"
    )


def _scale() -> str:
    half = WIDTH // 2
    return f"{'0.1':<{half}}1{'10':>{half}}"


def _column(ratio: float | None) -> int:
    if ratio is None or ratio >= _HIGHEST:
        return WIDTH - 1
    if ratio <= _LOWEST:
        return 0
    part = (log(ratio) - log(_LOWEST)) / (log(_HIGHEST) - log(_LOWEST))
    return round(part * (WIDTH - 1))


def _newest(desk: Desk) -> Rollout:
    site = desk.site
    with desk.plane.store.snapshot() as work:
        found = rollouts.rollouts(work, site.agent, environment=site.environment)
    if not found:
        raise Stop(f"{site.agent} never had a canary in {site.environment}: retune canary start")
    return found[0]
