"""``retune policy``: what an environment asks before a version becomes active there."""

from __future__ import annotations

from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.cli.release_json import plain
from retunable.cli.releasing import release_store
from retunable.release.store import policies


def show_policy(place: Place, *, output: Output) -> ExitCode:
    """Show what holds now."""
    with release_store(place) as store, store.snapshot() as work:
        found = policies.policy(work, place.agent, environment=place.environment)
    output.line(
        f"{place.agent} in {place.environment}: {_approvals(found.require_approval)} "
        f"(revision {found.revision})"
    )
    output.result({"policy": plain(found)})
    return ExitCode.OK


def set_policy(place: Place, *, require_approval: int, message: str, output: Output) -> ExitCode:
    """Ask for approvals from now on."""
    if not message:
        raise Stop("say why: -m", ExitCode.USAGE)
    with (
        release_store(place, missing="make") as store,
        store.transaction(claimed=place.actor) as work,
    ):
        before = policies.policy(work, place.agent, environment=place.environment)
        done = policies.set_policy(
            work,
            place.agent,
            environment=place.environment,
            reason=message,
            require_approval=require_approval,
            require_evaluation=before.require_evaluation,
        )
    said = "asks" if done.changed else "asks already"
    output.line(f"{place.agent} in {place.environment} {said} for {_approvals(require_approval)}")
    output.result({"policy": plain(done.policy), "changed": done.changed})
    return ExitCode.OK


def _approvals(number: int) -> str:
    return "1 approval" if number == 1 else f"{number} approvals"
