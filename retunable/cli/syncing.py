"""``retune sync`` and ``retune export``: folders of config files to versions, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.cli.refusals import activated
from retunable.cli.release_json import plain
from retunable.cli.releasing import release_desk, release_store
from retunable.cli.version_list import the_version
from retunable.release.config_files import ConfigFile, FileFault, config_files, read_config
from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.state import state
from retunable.release.store import deployments, versions
from retunable.release.sync.plan import Drift, Synced, differences, synchronise
from retunable.release.sync.working_tree import Source, read_tree


def sync(place: Place, folder: Path, *, activating: bool, output: Output) -> ExitCode:
    """Save what git has changed, and activate it where asked."""
    with release_store(place, missing="make") as store:
        done = _or_stop(synchronise(store, _sources(folder)))
    for one in done:
        said = "saved" if one.new else "unchanged"
        output.line(f"{one.source.agent}: version {one.version.number} {said}")
    generations = [_activate(place, one, output) for one in done] if activating else []
    output.result(
        {
            "agents": [
                {"agent": one.source.agent, "saved": one.new, "version": plain(one.version)}
                for one in done
            ],
            "activated": [generation for generation in generations if generation is not None],
        }
    )
    return ExitCode.OK


def check(place: Place, folder: Path, *, output: Output) -> ExitCode:
    """Tell where git, the release store and what is published differ; write nothing."""
    sources = _sources(folder)
    with release_store(place, missing="empty") as store, store.snapshot() as work:
        found = differences(work, sources, environment=place.environment)
        agents = {source.agent for source in sources} - {drift.agent for drift in found}
    for agent in sorted(agents):
        with release_desk(place.of(agent)) as desk:
            drift = state(desk.plane, desk.site).drift
        found += tuple(Drift(agent, reason) for reason in drift)
    for one in found:
        output.line(f"{one.agent}: {one.reason}")
    output.result({"drift": plain(found), "exit_code": int(ExitCode.DRIFT if found else 0)})
    return ExitCode.DRIFT if found else ExitCode.OK


def export(place: Place, folder: Path, number: int | None, *, output: Output) -> ExitCode:
    """Write a version, else what is active, else the latest, as files that read back the same."""
    with release_store(place) as store, store.snapshot() as work:
        if number is None:
            active = deployments.active(work, place.agent, environment=place.environment)
            newest = versions.latest(work, place.agent)
            number = (active and active.version) or (newest.number if newest else 1)
        version = the_version(work, place.agent, number)
        config = versions.config(work, version)
    home = folder / _folder_name(place.agent)
    written = _write(home, config_files(place.agent, config))
    back = read_config(home / "agent.yaml")
    if not isinstance(back, ConfigFile) or dict(back.config) != config:
        raise Stop(f"{home} does not read back as version {number} ({back}); do not commit it")
    output.line(f"{place.agent} version {number} written to {home}: {', '.join(written)}")
    output.result({"agent": place.agent, "version": plain(version), "files": written})
    return ExitCode.OK


def _write(home: Path, files: dict[str, str]) -> list[str]:
    home.mkdir(parents=True, exist_ok=True)
    for name in _MARKDOWN - files.keys():
        (home / name).unlink(missing_ok=True)
    for name, text in files.items():
        (home / name).write_bytes(text.encode())
    return [str(home / name) for name in files]


_MARKDOWN: Final = frozenset(
    f"{name}.md" for name in ("role", "goal", "system_prompt", "instructions", "style_guidelines")
)


def _folder_name(agent: str) -> str:
    name = agent.replace("/", "_").strip(".")
    if not name:
        raise Stop(f"{agent!r} gives no folder name")
    return name


def _sources(folder: Path) -> tuple[Source, ...]:
    return _or_stop(read_tree(folder))


def _or_stop(found: tuple[Any, ...]) -> tuple[Any, ...]:
    """End the command with everything that is wrong, each with file, line and field."""
    faults = [fault for fault in found if isinstance(fault, FileFault)]
    if faults:
        said = "\n".join(str(fault) for fault in faults)
        raise Stop(
            f"nothing was written:\n{said}",
            ExitCode.USAGE,
            faults=[{**plain(fault), "file": str(fault.file)} for fault in faults],
        )
    return found


def _activate(place: Place, one: Synced, output: Output) -> int | None:
    with release_desk(place.of(one.source.agent), asks="all") as desk:
        with desk.plane.store.snapshot() as work:
            active = deployments.active(work, desk.site.agent, environment=desk.site.environment)
        if active is not None and active.checksum == one.version.checksum:
            return None
        wish = Wish(version=one.version.number, reason=one.source.subject)
        done = activated(activate(desk.plane, desk.site, wish), desk.site)
    new = done.deployment
    output.line(f"{new.agent}: version {new.version} is active in {new.environment}")
    for line in desk.check_lines:
        output.line(line)
    return new.generation
