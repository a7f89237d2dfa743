"""``retune status`` and ``retune publish``: what is active and what stands, and the mend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output, shown
from retunable.cli.place import Place
from retunable.cli.release_json import plain
from retunable.cli.releasing import Desk, release_desk
from retunable.cli.taken import NOTHING, Waiting
from retunable.config.items import Item
from retunable.release.publishing.outcomes import Changed
from retunable.release.publishing.state import publish as publish_active
from retunable.release.publishing.state import state
from retunable.release.store.records import Deployment


def status(place: Place, *, check: bool, output: Output) -> ExitCode:
    """Show what is active, pending and published; with ``check`` drift is an exit code."""
    with release_desk(place) as desk:
        found = state(desk.plane, desk.site)
    output.line(_active_line(desk, found.active))
    for deployment in found.pending:
        output.line(
            f"pending: generation {deployment.generation}, version {deployment.version}, since "
            f"{deployment.stamp.at:%Y-%m-%d %H:%M:%S} UTC; retune publish {desk.site.agent} ends it"
        )
    for name, held in _signed_overrides(found.active).items():
        output.line(f"override: {name} = {shown(held['value'])} until {held['expires_at']}")
    for key, item in found.overrides.items():
        output.line(f"override: {key} = {_text(item)}")
    for drift in found.drift:
        output.line(f"drift: {drift}; mend it: retune publish {desk.site.agent}")
    output.result(
        {
            "agent": desk.site.agent,
            "environment": desk.site.environment,
            "store": desk.plane.publisher.describe(),
            "releases": desk.plane.store.describe(),
            **plain(found),
        }
    )
    return ExitCode.DRIFT if check and (found.drift or found.pending) else ExitCode.OK


def publish(place: Place, *, message: str, wait: float | None, output: Output) -> ExitCode:
    """End what is pending, and publish what is active where something else stands."""
    with release_desk(place) as desk:
        waiting = Waiting(desk, seconds=wait)
        done = publish_active(desk.plane, desk.site, reason=message)
        if isinstance(done, Changed):
            raise Stop(
                f"conflict: {', '.join(done.keys)} was changed at the same time; look again: "
                f"retune status {desk.site.agent}",
                outcome="conflict",
            )
        taken = waiting.until_taken(done.deployment.generation) if done.deployment else NOTHING
    for finished in done.settled:
        output.line(
            f"generation {finished.deployment.generation} was pending and is "
            f"{finished.deployment.state} now"
        )
    for drift in done.mended:
        output.line(f"mended: {drift}")
    for line in (_active_line(desk, done.deployment), *taken.lines):
        output.line(line)
    output.result(
        {
            "agent": desk.site.agent,
            "environment": desk.site.environment,
            "settled": [plain(finished.deployment) for finished in done.settled],
            "mended": list(done.mended),
            "deployment": plain(done.deployment),
            "replicas": list(taken.replicas),
            "exit_code": int(taken.code),
        }
    )
    return taken.code


def _active_line(desk: Desk, active: Deployment | None) -> str:
    where = f"{desk.site.agent} in {desk.site.environment}"
    if active is None:
        return f"{where}: no version is active"
    return (
        f"{where}: version {active.version} is active, generation {active.generation}, since "
        f"{active.stamp.at:%Y-%m-%d %H:%M:%S} UTC by {active.stamp.actor}: {active.stamp.reason}"
    )


def _signed_overrides(active: Deployment | None) -> Mapping[str, Any]:
    """Return the overrides that the active release carries itself."""
    overrides: Mapping[str, Any] = active.parts.get("overrides", {}) if active else {}
    return overrides


def _text(item: object) -> str:
    return shown(item.value) if isinstance(item, Item) else "unreadable"
