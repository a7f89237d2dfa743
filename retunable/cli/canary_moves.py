"""``retune canary promote``, ``pause``, ``resume`` and ``abort``: what a person decides of a rollout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retunable.cli.canary_status import live_rollout
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.cli.refusals import activated
from retunable.cli.release_json import plain
from retunable.cli.releasing import release_desk, release_store, signing_key, site_of
from retunable.cli.target import find_store, find_target
from retunable.errors import ReleaseStoreError
from retunable.release.opening import open_publisher
from retunable.release.publishing.aborting import NoCanary
from retunable.release.publishing.aborting import abort as abort_canary
from retunable.release.publishing.outcomes import Unpublishable
from retunable.release.publishing.rollouts import Move, carry_out
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.publishing.state import publish
from retunable.release.store import rollouts
from retunable.release.store.rollouts import Rollout, RolloutState
from retunable.serve.address import running_agents

if TYPE_CHECKING:
    from retunable.release.signing import SigningKey
    from retunable.release.writer import Publisher


def move(place: Place, state: RolloutState, *, message: str, output: Output) -> ExitCode:
    """Make a move that a person decided; a canary that everybody gets must be one that all take."""
    with release_desk(place, asks="all" if state == "promoted" else None) as desk:
        row = live_rollout(desk)
        done = carry_out(desk.plane, desk.site, Move(rollout=row.id, state=state, reason=message))
        if not isinstance(done, Rollout):
            activated(done, desk.site)
        with desk.plane.store.snapshot() as work:
            now = rollouts.rollout(work, row.id) or row
    output.line(f"{now.agent}: the canary of version {now.version} is {now.state}")
    for line in desk.check_lines:
        output.line(line)
    output.result({"rollout": plain(now), "check": plain(desk.checked)})
    return ExitCode.OK


def abort(place: Place, *, message: str, output: Output) -> ExitCode:
    """Take the canary back in the configuration store, then have the release store know."""
    target = find_target(place.where, running_agents())
    site, key = site_of(place, target), signing_key(place)
    publisher = open_publisher(find_store(place.where, target))
    try:
        done = abort_canary(publisher, site, key=key)
        match done:
            case NoCanary():
                raise Stop(f"no canary of {site.agent} is published in {site.environment}")
            case Unpublishable(reason):
                raise Stop(f"nothing was aborted: {reason}", outcome="unpublishable")
        output.line(
            f"{site.agent}: the canary is taken back from everybody in {site.environment} "
            f"(generation {done.generation})"
        )
        known = _write_down(place, site, publisher, key, message=message)
    finally:
        publisher.close()
    output.line(known or "the release store knows it")
    output.result(
        {
            "agent": site.agent,
            "environment": site.environment,
            "rollout": done.rollout,
            "generation": done.generation,
            "revoked": done.checksum,
            "written_down": known is None,
        }
    )
    return ExitCode.OK


def _write_down(
    place: Place, site: Site, publisher: Publisher, key: SigningKey | None, *, message: str
) -> str | None:
    """Return why the release store does not know yet; None where it does."""
    try:
        with release_store(place, missing="make") as store:
            plane = ControlPlane(store=store, publisher=publisher, key=key, claimed=place.actor)
            publish(plane, site, reason=message)
    except ReleaseStoreError as error:
        return f"written down later, by retune control or retune publish: {error}"
    return None
