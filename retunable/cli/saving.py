"""``retune save``: a new version from a file, from standard input, or from what runs now."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retunable.cli.agent_client import AgentAway, AgentClient
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.cli.program_check import SAID_UNCHECKED, ProgramCheck, ask_program
from retunable.cli.release_json import plain
from retunable.cli.releasing import Desk, release_desk, release_store
from retunable.cli.target import Target
from retunable.release.config_files import ConfigFile, FileFault, parse_config, read_config
from retunable.release.publishing.capturing import Captured, NotCaptured, capture
from retunable.release.store import versions
from retunable.release.store.release_store import ReleaseStore
from retunable.release.store.version_data import Invalid
from retunable.release.store.versions import Draft, Saved
from retunable.serve.address import running_agents


def save(place: Place, file: str | None, *, message: str, output: Output) -> ExitCode:
    """Save a version that the running program can take; the latest one again makes none."""
    if file is not None:
        draft = Draft(agent=place.agent, config=config_in(file), reason=message)
        check = _check(place, draft)
        with release_store(place, missing="make") as store:
            return _save(place, store, draft, check, output)
    with release_desk(place, missing="make") as desk:
        found = captured(desk)
        draft = Draft(
            agent=desk.site.agent,
            config=found.config,
            reason=message,
            source="captured",
            parent=found.version,
        )
        check = _check(place, draft)
        return _save(place, desk.plane.store, draft, check, output)


def config_in(file: str) -> Mapping[str, Any]:
    """Return the complete config of a file, - for standard input; end the command if it is wrong."""
    if file == "-":
        try:
            text = sys.stdin.buffer.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Stop("standard input is not UTF-8 text", ExitCode.USAGE) from error
        found = parse_config(text, Path("-"))
    else:
        found = read_config(Path(file))
    match found:
        case FileFault():
            raise Stop(str(found), ExitCode.USAGE, field=found.field, line=found.line)
        case ConfigFile(config=config):
            return config


def captured(desk: Desk) -> Captured:
    """Return what runs now, as the running agent says, or as the stores alone say."""
    if (running := captured_running(desk.target)) is not None:
        return running
    found = capture(desk.plane, desk.site)
    if isinstance(found, NotCaptured):
        raise Stop(found.reason)
    return found


def captured_running(target: Target) -> Captured | None:
    """Return what a running agent says that it runs on; None where none does or it rejects."""
    for record in target.replicas:
        try:
            report = AgentClient(record.url).report()
        except AgentAway:
            continue
        if report["config"] is not None and not report["rejected"]:
            config = dict(report["config"])
            if config["tools"] is None:
                config["tools"] = report["registered_tools"]
            return Captured(config, report["version"], tuple(report["overrides"]))
    return None


def _check(place: Place, draft: Draft) -> ProgramCheck:
    if place.unchecked:
        return SAID_UNCHECKED
    named, environment = place.where.agent, place.where.environment
    asked = [
        record
        for record in running_agents()
        if named in (record.agent, record.store.document_key)
        and environment in (None, record.environment)
    ]
    check = ask_program("config", draft.config, asked)
    for fault in check.faults:
        raise Stop(
            f"nothing was saved: {fault}; if the next one is to take it: --unchecked",
            ExitCode.USAGE,
            field=fault.field,
        )
    return check


def _save(
    place: Place, store: ReleaseStore, draft: Draft, check: ProgramCheck, output: Output
) -> ExitCode:
    with store.transaction(claimed=place.actor) as work:
        saved = versions.save(work, draft)
    if isinstance(saved, Invalid):
        raise Stop(f"nothing was saved: {saved.reason}", ExitCode.USAGE, field=saved.field)
    number, new = saved.version.number, isinstance(saved, Saved)
    said = "saved" if new else "is this already; no new version was made"
    output.line(f"{place.agent} version {number} {said}")
    for line in check.lines:
        output.line(line)
    output.result(
        {
            "agent": place.agent,
            "saved": new,
            "version": plain(saved.version),
            "check": plain(check),
        }
    )
    return ExitCode.OK
