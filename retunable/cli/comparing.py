"""``retune diff``: any two of a version, what is active or runs in an environment, and a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, assert_never

from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output, shown
from retunable.cli.place import Place
from retunable.cli.release_json import plain
from retunable.cli.releasing import release_desk, release_store
from retunable.cli.saving import captured, captured_running, config_in
from retunable.cli.target import find_target
from retunable.cli.version_list import the_version
from retunable.config.agent_config import AgentConfig, config_from
from retunable.config.diff import (
    Change,
    MemberDetail,
    Passage,
    SetDetail,
    TextDetail,
    ValueDetail,
    detail,
    diff,
)
from retunable.release.publishing.capturing import Captured
from retunable.release.store import deployments, versions
from retunable.serve.address import running_agents

RED: Final = "\x1b[31;9m"
GREEN: Final = "\x1b[32m"
BOLD: Final = "\x1b[1m"
PLAIN: Final = "\x1b[0m"
CONTEXT_CHARACTERS: Final = 60


def compare(place: Place, old: str, new: str, *, exit_code: bool, output: Output) -> ExitCode:
    """Show what differs; with ``exit_code`` a difference ends as an error does."""
    changes = diff(_side(place, old), _side(place, new))
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for change in changes:
        for line in _lines(change, coloured=coloured):
            output.line(line)
    if not changes:
        output.note(f"{old} and {new} are the same")
    output.result(
        {
            "old": old,
            "new": new,
            "changes": [{**plain(change), "detail": plain(detail(change))} for change in changes],
        }
    )
    return ExitCode.ERROR if changes and exit_code else ExitCode.OK


def _side(place: Place, name: str) -> AgentConfig:
    """Return the config that a person means: see the module."""
    if name == "effective":
        return config_from(_effective(place).config)
    if name == "-" or os.sep in name or Path(name).is_file():
        return config_from(config_in(name))
    with release_store(place) as store, store.snapshot() as work:
        if name.isdecimal():
            return versions.parsed_config(work, the_version(work, place.agent, int(name)))
        environment = place.environment if name == "active" else name
        active = deployments.active(work, place.agent, environment=environment)
        if active is None or active.version is None:
            known = ", ".join(deployments.environments(work, place.agent)) or "none"
            raise Stop(
                f"{name!r} is no version, no file, and nothing is active in the environment "
                f"{environment!r} (there are: {known})",
                ExitCode.USAGE,
            )
        return versions.parsed_config(work, the_version(work, place.agent, active.version))


def _effective(place: Place) -> Captured:
    if (running := captured_running(find_target(place.where, running_agents()))) is not None:
        return running
    with release_desk(place) as desk:
        return captured(desk)


def _lines(change: Change, *, coloured: bool) -> Iterator[str]:
    bold, plain_text = (BOLD, PLAIN) if coloured else ("", "")
    yield f"{bold}{change.field}{plain_text}"
    found = detail(change)
    match found:
        case TextDetail(passages):
            text = "".join(_marked(passage, coloured=coloured) for passage in passages)
            yield from (f"  {line}" for line in text.split("\n"))
        case SetDetail(gone, new, reordered):
            yield from (f"  {_gone(name, coloured)}" for name in gone)
            yield from (f"  {_new(name, coloured)}" for name in new)
            if reordered:
                yield "  in another order"
        case MemberDetail(gone, new, changed):
            yield from (
                f"  {_gone(f'{name}: {shown(change.old[name])}', coloured)}" for name in gone
            )
            yield from (f"  {_new(f'{name}: {shown(change.new[name])}', coloured)}" for name in new)
            for name in changed:
                both = f"{shown(change.old[name])} -> {shown(change.new[name])}"
                yield f"  {name}: {both}"
        case ValueDetail():
            yield f"  {shown(change.old)} -> {shown(change.new)}"
        case _:
            assert_never(found)


def _marked(passage: Passage, *, coloured: bool) -> str:
    match passage.kind:
        case "same":
            return _shortened(passage.text)
        case "gone":
            return f"{RED}{passage.text}{PLAIN}" if coloured else f"[-{passage.text}-]"
        case "new":
            return f"{GREEN}{passage.text}{PLAIN}" if coloured else f"{{+{passage.text}+}}"


def _shortened(text: str) -> str:
    """Keep the ends of a long passage that is in both."""
    if len(text) <= 3 * CONTEXT_CHARACTERS:
        return text
    return f"{text[:CONTEXT_CHARACTERS]} … {text[-CONTEXT_CHARACTERS:]}"


def _gone(text: str, coloured: bool) -> str:
    return f"{RED}{text}{PLAIN}" if coloured else f"- {text}"


def _new(text: str, coloured: bool) -> str:
    return f"{GREEN}{text}{PLAIN}" if coloured else f"+ {text}"
