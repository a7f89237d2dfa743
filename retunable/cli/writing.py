"""One write from beginning to end: ask the replicas, write, wait, say what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retunable.cli.agent_client import Report
from retunable.cli.confirmation import (
    NOBODY,
    NOT_HEARD,
    Confirmation,
    Replica,
    Taken,
    confirm,
    replicas_of,
)
from retunable.cli.exits import ExitCode
from retunable.cli.expectation import Applied, Rejected
from retunable.cli.output import Output, shown
from retunable.cli.place import Place
from retunable.cli.target import Target, check_owner, find_store, find_target
from retunable.cli.where import Where
from retunable.cli.write import Write
from retunable.release.opening import open_publisher
from retunable.release.writer import Publisher
from retunable.serve.address import running_agents

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from retunable.cli.recording import Recorder


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a command writes: the agent, its replicas as they were before, the open store.

    ``recorder`` goes through the release store; None where none is known.
    """

    target: Target
    writer: Publisher
    replicas: tuple[Replica, ...]
    recorder: Recorder | None = None

    @property
    def before(self) -> Report | None:
        """What the first replica that answered ran on before the write."""
        reports = (r.before for r in self.replicas)
        return next((b for b in reports if b and b["config"] is not None), None)


def the_target(where: Where) -> Target:
    """Find the agent that is meant among those that run here."""
    return find_target(where, running_agents())


@contextmanager
def desk(
    place: Place, target: Target, *, reason: str, document_alone: bool = False
) -> Iterator[Desk]:
    """Open the agent's store, and the release store where one is known; ask its replicas.

    A write of the ``document_alone`` meets no other agent's keys: it bears the agent's name.
    """
    store = find_store(place.where, target)
    if not document_alone:
        check_owner(target, store, place.where, running_agents())
    writer = open_publisher(store)
    try:
        with _recorder(place, target, writer, reason) as recorder:
            yield Desk(target, writer, replicas_of(target.replicas), recorder)
    finally:
        writer.close()


def _recorder(
    place: Place, target: Target, writer: Publisher, reason: str
) -> AbstractContextManager[Recorder | None]:
    if not place.has_releases:
        return nullcontext()
    from retunable.cli.recording import recorder  # a quarter of a second of imports

    return recorder(place, target, writer, reason=reason)


def carry_out(at: Desk, write: Write, *, wait: float | None, output: Output) -> ExitCode:
    """Write, wait up to ``wait`` seconds (None: not at all), and report."""
    hearing = at.recorder.hearing() if at.recorder and wait is not None else None
    expectations = write.expectations
    if at.recorder is None:
        at.writer.write(write.changes, expect=write.expect)
    else:
        expectations = at.recorder.write(write)
    written_at = time.monotonic()
    asked: tuple[Confirmation, ...] = ()
    if wait is None:
        taken = Taken((f"written to {at.writer.describe()}",), (), ExitCode.OK)
    elif hearing is not None and hearing.anybody:
        taken = hearing.until_taken(expectations, written_at=written_at, seconds=wait)
    else:
        asked = confirm(at.replicas, expectations, written_at=written_at, timeout_seconds=wait)
        taken = _asked(at, asked)
    _report(at, write, _changes(at, write, asked), taken, output=output, waited=wait is not None)
    return taken.code


def _report(
    at: Desk,
    write: Write,
    changes: list[dict[str, Any]],
    taken: Taken,
    *,
    output: Output,
    waited: bool,
) -> None:
    for change in changes:
        output.line(_change_line(change))
    for line in taken.lines:
        output.line(line)
    if taken.code is ExitCode.REJECTED and write.action == "set":
        output.line(_way_back(at, write))
    output.result(
        {
            "agent": at.target.agent,
            "environment": at.target.environment,
            "store": at.writer.describe(),
            "releases": at.recorder.plane.store.describe() if at.recorder else None,
            "keys": list(write.changes),
            "changes": changes,
            "confirmed": taken.code is ExitCode.OK and waited,
            "replicas": list(taken.replicas),
            "exit_code": int(taken.code),
        }
    )


def _asked(at: Desk, confirmations: tuple[Confirmation, ...]) -> Taken:
    """Say what the agents of this folder answered, and that others may run elsewhere."""
    several = len(confirmations) > 1
    lines = [_outcome_line(one, several=several) for one in confirmations]
    if not confirmations:
        lines.append(f"written, not confirmed: {NOBODY} ({at.writer.describe()})")
    if at.recorder is not None:
        lines.append(NOT_HEARD)
    return Taken.of(confirmations, lines)


def _way_back(at: Desk, write: Write) -> str:
    """Say how to take away what was written and nobody runs on."""
    if at.target.document in write.changes:
        return "the last good document goes on; set another one, or go back: retune reset"
    return f"what ran before goes on; take it away: retune unset {' '.join(write.changes)}"


def _changes(
    at: Desk, write: Write, confirmations: tuple[Confirmation, ...]
) -> list[dict[str, Any]]:
    """List what changes: as the agent ran before and runs now, where it says so."""
    old = at.before["config"] if at.before else {}
    taken = next((c.report for c in confirmations if isinstance(c.outcome, Applied)), None)
    new = {**write.wanted, **(taken["config"] if taken else {})}
    differing = [name for name in old if name in new and old[name] != new[name]] if taken else []
    changes = []
    for name in dict.fromkeys((*write.fields, *differing)):
        sides = {side: of[name] for side, of in (("old", old), ("new", new)) if name in of}
        changes.append({"field": name, "key": at.target.field_keys[name], **sides})
    return changes


def _change_line(change: Mapping[str, Any]) -> str:
    if "new" not in change:
        return f"{change['key']}: no longer set"
    old = f"{shown(change['old'])} -> " if "old" in change else ""
    return f"{change['key']}: {old}{shown(change['new'])}"


def _outcome_line(confirmation: Confirmation, *, several: bool) -> str:
    who = confirmation.record.agent + (f" (pid {confirmation.record.pid})" if several else "")
    match confirmation.outcome:
        case Applied(hidden):
            revision = confirmation.report["revision"] if confirmation.report else "?"
            note = f"; {', '.join(hidden)} stay covered by field keys" if hidden else ""
            milliseconds = max(1, round(confirmation.milliseconds))
            return f"applied by {who} in {milliseconds} ms (revision {revision}){note}"
        case Rejected(reason):
            return f"rejected by {who}: {reason}"
        case None:
            return f"written, not confirmed: {confirmation.why}"
