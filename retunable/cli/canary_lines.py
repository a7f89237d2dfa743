"""A rollout and its verdict as lines for a person, each metric's interval drawn. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any, Final

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
