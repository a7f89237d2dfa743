"""``retune versions`` and ``retune show``: what was ever saved, and where it is active."""

from __future__ import annotations

from datetime import datetime

from retunable.cli.ages import age
from retunable.cli.exits import ExitCode
from retunable.cli.output import Output, shown
from retunable.cli.place import Place
from retunable.cli.refusals import unknown_version
from retunable.cli.release_json import plain
from retunable.cli.releasing import release_store
from retunable.release.store import deployments, versions
from retunable.release.store.approvals import no_such_version
from retunable.release.store.database import Transaction
from retunable.release.store.records import Version


def list_versions(place: Place, *, limit: int, before: int | None, output: Output) -> ExitCode:
    """List one page of versions, newest first, with their marks."""
    with release_store(place, missing="empty") as store, store.snapshot() as work:
        below = versions.ALL if before is None else before
        found = versions.versions(work, place.agent, before=below, at_most=limit)
        marks = active_marks(work, place.agent)
        now = work.now
    # Numbers have no gap, so the last one listed says how many are older.
    older = found[-1].number - 1 if found else 0
    for version in found:
        output.line(_line(version, marks.get(version.number, ()), now))
    if older:
        output.line(f"{older:,} older: retune versions {place.agent} --before {older + 1}")
    if not found:
        output.line(_nothing(place, before))
    output.result(
        {
            "agent": place.agent,
            "active": {env: number for number, envs in marks.items() for env in envs},
            "versions": plain(found),
            "older": older,
        }
    )
    return ExitCode.OK


def show(place: Place, number: int, *, output: Output) -> ExitCode:
    """Show one version whole."""
    with release_store(place) as store, store.snapshot() as work:
        version = the_version(work, place.agent, number)
        config = versions.config(work, version)
        marks = active_marks(work, place.agent).get(number, ())
        now = work.now
    output.line(_line(version, marks, now))
    output.line(f"{version.checksum}, {version.size_bytes:,} bytes, from {version.source}")
    for name, value in config.items():
        output.line(f"{name} = {shown(value)}")
    output.result({"version": plain(version), "active": list(marks), "config": config})
    return ExitCode.OK


def the_version(work: Transaction, agent: str, number: int) -> Version:
    """Return a version; end the command where there is none."""
    version = versions.version(work, agent, number)
    if version is None:
        raise unknown_version(no_such_version(work, agent, number))
    return version


def active_marks(work: Transaction, agent: str) -> dict[int, tuple[str, ...]]:
    """Return the environments in which each active version is active."""
    marks: dict[int, tuple[str, ...]] = {}
    for environment in deployments.environments(work, agent):
        active = deployments.active(work, agent, environment=environment)
        if active is not None and active.version is not None:
            marks[active.version] = (*marks.get(active.version, ()), environment)
    return marks


def _nothing(place: Place, before: int | None) -> str:
    if before is None:
        return f"{place.agent} has no version; retune save makes one"
    return f"{place.agent} has no version below {before}"


def _line(version: Version, marks: tuple[str, ...], now: datetime) -> str:
    mark = f" [{', '.join(marks)}]" if marks else ""
    stamp = version.stamp
    who = stamp.actor + (f" for {stamp.claimed}" if stamp.claimed else "")
    first = stamp.reason.splitlines()[0] if stamp.reason else ""
    return f"{version.number:>5}{mark}  {age(stamp.at, now)} ago by {who}: {first}"
