"""Why an operation on releases did nothing, in words that name the next step."""

from __future__ import annotations

from typing import assert_never

from retunable.cli.exits import ExitCode, Stop
from retunable.release.publishing.outcomes import (
    Activated,
    Changed,
    FlagRefused,
    NeverActive,
    NotActive,
    NothingBefore,
    Outcome,
    Overtaken,
    ProgramRefuses,
    Unpublishable,
)
from retunable.release.publishing.site import Site
from retunable.release.store.approvals import NoSuchVersion
from retunable.release.store.deployments import Conflict, NotApproved
from retunable.release.store.rollouts import AlreadyLive


def activated(outcome: Outcome, site: Site) -> Activated:
    """Return what was activated; end the command where nothing was."""
    match outcome:
        case Activated():
            return outcome
        case NoSuchVersion():
            raise unknown_version(outcome)
        case Conflict(expected, winner):
            raise Stop(_conflict(expected, winner), outcome="conflict")
        case NotApproved(version, needed, given):
            who = ", ".join(approval.stamp.actor for approval in given) or "nobody"
            raise Stop(
                f"version {version.number} needs {needed} approvals in {site.environment} and has "
                f"{len(given)} ({who}): retune approve {site.agent} {version.number} "
                f"--env {site.environment}",
                outcome="not_approved",
            )
        case Changed(keys):
            raise Stop(
                f"conflict: {', '.join(keys)} was changed by somebody else after it was shown; "
                "nothing was activated. Look again: retune status " + site.agent,
                outcome="conflict",
                keys=list(keys),
            )
        case Unpublishable(reason):
            raise Stop(f"nothing was activated: {reason}", outcome="unpublishable")
        case ProgramRefuses():
            raise _refused_by_program(outcome, site)
        case FlagRefused(reason):
            raise Stop(reason, ExitCode.USAGE, outcome="flag_refused")
        case NothingBefore():
            raise Stop(f"{site.agent} has no version before in {site.environment}; name one")
        case NeverActive(version, environment):
            raise Stop(
                f"version {version} never ran in {environment}; activate it there first, or use "
                f"retune activate {site.agent} {version} --env {site.environment}"
            )
        case NotActive(environment):
            raise Stop(
                f"no version of {site.agent} is active in {environment}: retune activate "
                f"{site.agent} N --env {environment}"
            )
        case AlreadyLive(rollout):
            raise Stop(
                f"a rollout of {site.agent} in {rollout.environment} goes on already: version "
                f"{rollout.version}, {rollout.state}; retune canary status {site.agent}",
                outcome="already_live",
            )
        case Overtaken(reason):
            raise Stop(f"nothing was changed: {reason}", outcome="overtaken")
        case _:
            assert_never(outcome)


def unknown_version(missing: NoSuchVersion) -> Stop:
    """Return what ends a command that names a version which was never saved."""
    latest = missing.latest
    has = f"its latest is {latest}" if latest else "it has none; retune save makes one"
    return Stop(f"{missing.agent} has no version {missing.number}: {has}", ExitCode.USAGE)


def _refused_by_program(refusal: ProgramRefuses, site: Site) -> Stop:
    mend = f"retune flag set or remove {site.agent} {refusal.flag}; " if refusal.stands else ""
    return Stop(
        f"nothing was published, for agents would go on with what they have: {refusal.reason}; "
        f"{mend}if the next one is to take it: --unchecked",
        ExitCode.USAGE,
        outcome="program_refuses",
        flag=refusal.flag,
        field=refusal.field,
    )


def _conflict(expected: int, winner: object) -> str:
    from retunable.release.store.records import Deployment

    if not isinstance(winner, Deployment):
        return f"conflict: version {expected} was expected to be active, and none is"
    stamp = winner.stamp
    return (
        f"conflict: version {expected} was expected to be active; {stamp.actor} activated version "
        f"{winner.version} at {stamp.at:%Y-%m-%d %H:%M:%S} UTC ({stamp.reason})"
    )
