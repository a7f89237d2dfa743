"""``retune activate``, ``promote``, ``rollback`` and ``override``: what becomes active, and its word."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from retunable.cli.ages import duration
from retunable.cli.changes import field_change, field_named
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output, shown
from retunable.cli.place import Place
from retunable.cli.program_check import Asks
from retunable.cli.refusals import activated
from retunable.cli.release_json import plain
from retunable.cli.releasing import Desk, release_desk
from retunable.cli.taken import Waiting
from retunable.release.publishing.activation import Wish
from retunable.release.publishing.activation import activate as activate_version
from retunable.release.publishing.operations import Return, roll_back
from retunable.release.publishing.operations import override as override_fields
from retunable.release.publishing.operations import promote as promote_version
from retunable.release.publishing.outcomes import Activated, Outcome
from retunable.release.store.records import Deployment


def activate(place: Place, wish: Wish, *, wait: float | None, output: Output) -> ExitCode:
    """Activate a version that the running program can take, with all that is published beside it."""
    return carry_out(
        place, lambda desk: activate_version(desk.plane, desk.site, wish), wait=wait, output=output
    )


def promote(
    place: Place, wish: Wish, *, origin: str, wait: float | None, output: Output
) -> ExitCode:
    """Activate in one environment what runs in another."""
    return carry_out(
        place,
        lambda desk: promote_version(desk.plane, desk.site, wish, origin=origin),
        wait=wait,
        output=output,
    )


def rollback(place: Place, back: Return, *, wait: float | None, output: Output) -> ExitCode:
    """Go back, the emergency brake: one process that takes it is enough, and none is waited for.

    Where each one that answers refuses it, nothing is published all the same: agents would refuse
    the whole document and go on with what is bad, and a new one would find nothing that it can
    take. The person has to know it now; ``--unchecked`` publishes for another program.
    """
    return carry_out(
        place,
        lambda desk: roll_back(desk.plane, desk.site, back),
        asks="any",
        wait=wait,
        output=output,
    )


def override(
    place: Place,
    key: str,
    value: str | None,
    *,
    expires: str | None,
    message: str,
    wait: float | None,
    output: Output,
) -> ExitCode:
    """Override one field inside the envelope for a time; without a value, end that."""

    def act(desk: Desk) -> Outcome:
        name, member = _override(desk, key, value, expires)
        return override_fields(desk.plane, desk.site, {name: member}, reason=message)

    ends = value is None  # what only takes away brings nothing new to be asked about
    asks: Asks | None = None if ends else "all"
    return carry_out(place, act, asks=asks, wait=wait, output=output, lines=_override_lines)


def _override_lines(desk: Desk, done: Activated) -> list[str]:
    new = done.deployment
    held = new.parts.get("overrides", {})
    above = f"above version {new.version} in {new.environment} (generation {new.generation})"
    return [
        f"{desk.site.field_keys[name]} = {shown(one['value'])} until {one['expires_at']}, {above}"
        for name, one in held.items()
    ] or [f"{new.agent}: no override is left {above}"]


def _override(
    desk: Desk, key: str, value: str | None, expires: str | None
) -> tuple[str, dict[str, Any] | None]:
    if value is None:
        return field_named(key, prefix=desk.site.prefix).name, None
    if expires is None:
        raise Stop("say how long it holds: --expires 1h", ExitCode.USAGE)
    change = field_change(key, value, prefix=desk.site.prefix, store="other")
    ends = datetime.now(UTC) + duration(expires)
    return change.field.name, {
        "value": change.value,
        "expires_at": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def carry_out(
    place: Place,
    act: Callable[[Desk], Outcome],
    *,
    asks: Asks | None = "all",
    wait: float | None,
    output: Output,
    lines: Callable[[Desk, Activated], list[str]] | None = None,
) -> ExitCode:
    """Publish, and say what became of it: in ``lines``, or as an activation.

    ``asks`` is as for ``release_desk``.
    """
    with release_desk(place, asks=asks) as desk:
        waiting = Waiting(desk, seconds=wait)
        done = activated(act(desk), desk.site)
        taken = waiting.until_taken(done.deployment.generation)
    for line in (lines or _lines)(desk, done):
        output.line(line)
    if done.superseded_by is not None:
        output.line(f"generation {done.superseded_by} was published after it and stands now")
    for line in (*desk.check_lines, *taken.lines):
        output.line(line)
    output.result(
        {
            "agent": desk.site.agent,
            "environment": desk.site.environment,
            "deployment": plain(done.deployment),
            "before": plain(done.before),
            "cleared": plain(done.cleared),
            "superseded_by": done.superseded_by,
            "check": plain(desk.checked),
            "replicas": list(taken.replicas),
            "exit_code": int(taken.code),
        }
    )
    return taken.code


def _before(deployment: Deployment | None) -> str:
    if deployment is None:
        return "nothing was before"
    return f"was {deployment.version}" if deployment.version else "was reset before"


def _lines(desk: Desk, done: Activated) -> list[str]:
    new = done.deployment
    before = _before(done.before)
    lines = [f"cleared {key} = {shown(item.value)}" for key, item in done.cleared.items()]
    lines.append(
        f"{new.agent}: version {new.version} is active in {new.environment} ({before}; generation "
        f"{new.generation}, published to {desk.plane.publisher.describe()})"
    )
    return lines
