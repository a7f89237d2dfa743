"""``retune canary start``: says what a rollout needs before it starts, and refuses what cannot finish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Any

from retunable.cli.ages import duration
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.cli.refusals import activated
from retunable.cli.release_json import plain
from retunable.cli.releasing import release_desk
from retunable.control.rollouts.starting import Prepared, Request, prepare
from retunable.errors import ConfigurationError
from retunable.release.publishing.rollouts import start as start_rollout
from retunable.rollout.policy import Policy
from retunable.rollout.policy_document import parse_alarms, parse_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What stands on the command line."""

    version: int
    message: str
    stages: str
    window: str | None
    deadline: str | None
    control_percent: float | None
    policy: Path | None
    anyway: bool


def start(place: Place, wanted: Wanted, *, output: Output) -> ExitCode:
    """Start a rollout."""
    document = _document(wanted.policy)
    request = Request(
        version=wanted.version,
        stages=_stages(wanted.stages),
        policy=_policy(document, wanted),
        reason=wanted.message,
        control_percent=wanted.control_percent,
        alarms=parse_alarms(document),
    )
    with release_desk(place, asks="all") as desk:
        prepared = prepare(desk.plane, desk.site, request)
        if not isinstance(prepared, Prepared):
            activated(prepared, desk.site)  # ends the command
            raise AssertionError(prepared)
        for line in _needs(prepared):
            output.line(line)
        if prepared.obstacles and not wanted.anyway:
            raise Stop(
                f"nothing was started: {'; '.join(prepared.obstacles)}. Wider stages or a later "
                "deadline help; or --anyway",
                outcome="cannot_finish",
            )
        done = activated(start_rollout(desk.plane, desk.site, prepared.start), desk.site)
        agent, environment = desk.site.agent, desk.site.environment
    share = prepared.start.share
    output.line(
        f"{agent}: version {wanted.version} is the canary of {share['stages'][0]:g} % of users in "
        f"{environment} (generation {done.deployment.generation}); retune canary status {agent}"
    )
    for line in desk.check_lines:
        output.line(line)
    output.result(
        {
            "agent": agent,
            "environment": environment,
            "rollout": share["id"],
            "deployment": plain(done.deployment),
            "check": plain(desk.checked),
            "estimate": prepared.start.plan["estimate"],
            "notes": list(prepared.notes),
            "obstacles": list(prepared.obstacles),
        }
    )
    return ExitCode.OK


def _needs(prepared: Prepared) -> list[str]:
    usage, needed = prepared.usage, prepared.estimate
    counted = f"{usage.users} users" if usage.users else f"{usage.runs} runs"
    lines = [f"last week: {counted} on stable, {usage.failed} of {usage.ended} runs failed"]
    if isfinite(needed.users):
        lines.append(f"a healthy canary needs about {needed.users:,.0f} users of both sides")
    if isfinite(needed.seconds):
        ends = datetime.now(UTC) + timedelta(seconds=needed.seconds)
        lines.append(f"expected end: {ends:%Y-%m-%d %H:%M} UTC")
    return [*lines, *(f"note: {note}" for note in prepared.notes)]


def _stages(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise Stop(
            f"--stages holds percents like 1,5,25,50, got {text!r}", ExitCode.USAGE
        ) from error


def _document(file: Path | None) -> Mapping[str, Any]:
    if file is None:
        return {}
    import yaml  # reads JSON too

    try:
        value = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Stop(f"{file} cannot be read: {error}", ExitCode.USAGE) from error
    if not isinstance(value, dict):
        raise Stop(f"{file} holds no policy: names and values, like alpha: 0.005", ExitCode.USAGE)
    return value


def _policy(document: Mapping[str, Any], wanted: Wanted) -> Policy:
    try:
        policy = parse_policy(document)
    except ConfigurationError as error:
        raise Stop(f"{wanted.policy}: {error}", ExitCode.USAGE) from error
    pace = policy.pace
    if wanted.window is not None:
        pace = replace(pace, window_seconds=duration(wanted.window).total_seconds())
    if wanted.deadline is not None:
        pace = replace(pace, deadline_seconds=duration(wanted.deadline).total_seconds())
    return replace(policy, pace=pace)
