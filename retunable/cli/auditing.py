"""``retune audit``, ``at`` and ``approve``: who did what, what was active when, who says yes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from operator import itemgetter

from retunable.cli.ages import moment
from retunable.cli.changes import field_named
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output, shown
from retunable.cli.place import Place
from retunable.cli.refusals import unknown_version
from retunable.cli.release_json import plain
from retunable.cli.releasing import release_store
from retunable.cli.trigger_lines import direct_writes
from retunable.release.store import approvals, audit, deployments, observations, versions
from retunable.release.store.approvals import Approved, NoSuchVersion, OwnVersion
from retunable.release.store.moments import BEGINNING
from retunable.release.store.records import Entry
from retunable.release.store.verifying import verify


def show_audit(
    place: Place, *, since: str | None, actor: str | None, field: str | None, output: Output
) -> ExitCode:
    """Show the entries that fit and what nobody of ours wrote, oldest first."""
    name = None if field is None else field_named(field).name
    with release_store(place, missing="empty") as store, store.snapshot() as work:
        begin = BEGINNING if since is None else moment(since, work.now)
        fitting = audit.entries(
            work,
            agent=place.where.agent,
            environment=place.where.environment,
            actor=actor,
            field=name,
            since=begin,
        )
        found = observations.shown(work, tuple(fitting))
        direct = direct_writes(place, work, since=begin, actor=actor, field=name, output=output)
    ended = {entry.data["change"] for entry in found if _ends_a_change(entry)}
    lines = [(entry.stamp.at, _line(entry, ended)) for entry in found]
    agent, environment = place.where.agent or "", place.environment
    lines += [(one.row.at, one.line(agent, environment)) for one in direct if one.entry is None]
    for _, line in sorted(lines, key=itemgetter(0)):
        output.line(line)
    if not lines:
        output.note("the audit has no such entry")
    output.result({"entries": plain(found), "direct_writes": [one.to_json() for one in direct]})
    return ExitCode.OK


def verify_audit(place: Place, *, output: Output) -> ExitCode:
    """Check the chain, every row against it, and that nothing guards it less than it should."""
    with release_store(place) as store, store.snapshot() as work:
        found = verify(work)
    for problem in found.problems:
        output.line(f"{problem.place}: {problem.reason}")
    output.result({"intact": found.intact, "verification": plain(found)})
    if not found.intact:
        return ExitCode.FINDINGS
    output.line(f"intact: {found.head.sequence} entries, the newest has hash {found.head.hash}")
    return ExitCode.OK


def active_at(place: Place, time: str, *, output: Output) -> ExitCode:
    """Show what was active at a moment."""
    with release_store(place) as store, store.snapshot() as work:
        when = moment(time, work.now)
        found = deployments.active(work, place.agent, environment=place.environment, at=when)
        number = found.version if found else None
        version = versions.version(work, place.agent, number) if number else None
    at = f"{when:%Y-%m-%d %H:%M:%S %Z}"
    if found is None:
        output.line(f"{at}: nothing was active in {place.environment}")
    else:
        what = f"version {number}" if number else "the program's own values (a reset)"
        output.line(
            f"{at}: {what} in {place.environment}, generation {found.generation}, since "
            f"{found.stamp.at:%Y-%m-%d %H:%M:%S} UTC by {found.stamp.actor}: {found.stamp.reason}"
        )
    output.result({"at": when.isoformat(), "deployment": plain(found), "version": plain(version)})
    return ExitCode.OK


def approve(place: Place, number: int, *, message: str, output: Output) -> ExitCode:
    """Say yes to exactly one version's checksum in an environment."""
    with release_store(place) as store, store.transaction(claimed=place.actor) as work:
        outcome = approvals.approve(
            work, place.agent, number, environment=place.environment, reason=message
        )
    match outcome:
        case OwnVersion(version):
            raise Stop(
                f"version {number} is {version.stamp.actor}'s own; somebody else has to approve it"
            )
        case NoSuchVersion():
            raise unknown_version(outcome)
        case Approved(approval, again):
            said = "had approved" if again else "approved"
            output.line(
                f"{approval.stamp.actor} {said} version {number} of {place.agent} in "
                f"{place.environment} ({approval.checksum})"
            )
            output.result({"approval": plain(approval), "again": again})
    return ExitCode.OK


def _ends_a_change(entry: Entry) -> bool:
    return entry.action in ("confirm", "withdraw") and "change" in entry.data


def _line(entry: Entry, ended: Collection[int]) -> str:
    stamp = entry.stamp
    who = stamp.actor + (f" for {stamp.claimed}" if stamp.claimed else "")
    where = f" in {entry.environment}" if entry.environment else ""
    moved = "" if entry.version is None else f" {entry.version}"
    if entry.old_version is not None and entry.old_version != entry.version:
        moved = f" {entry.old_version} -> {entry.version}"
    changed = ", ".join(entry.data.get("fields", ()))
    first = (
        f"{stamp.sequence:>6}  {stamp.at:%Y-%m-%d %H:%M:%S}  {who}  {entry.action} {entry.agent}"
        f"{where}{moved}{f' ({changed})' if changed else ''}{f': {stamp.reason}' * bool(stamp.reason)}"
    )
    return "\n".join((first, *_change_lines(entry, ended)))


def _change_lines(entry: Entry, ended: Collection[int]) -> Iterator[str]:
    """Say from what to what; the end of a write is an entry of its own, and may be missing."""
    for key, change in entry.data.get("changes", {}).items():
        yield f"{'':8}{key}: {shown(change['old'])} -> {shown(change['new'])}"
        if entry.stamp.sequence not in ended:
            yield f"{'':8}its writer died: nobody knows whether this was written"
