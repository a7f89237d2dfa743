"""``retune runs``: the latest runs as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from retunable.cli.exits import ExitCode
from retunable.cli.output import Output
from retunable.cli.run_client import RunClient
from retunable.cli.step_lines import cut
from retunable.cli.target import running_target
from retunable.cli.where import Where

HEADINGS: Final = ("RUN", "STATE", "BEGUN (UTC)", "SECONDS", "STEPS", "TOKENS", "CONVERSATION")

Run = Mapping[str, Any]


def runs(where: Where, *, limit: int, status: str | None, output: Output) -> ExitCode:
    """List the latest runs, newest first."""
    listed = RunClient(running_target(where).replicas[0].url).runs(limit=limit, status=status)
    if listed["runs"]:
        for line in table([HEADINGS, *map(_cells, listed["runs"])]):
            output.line(line)
    else:
        output.line("no runs yet" if status is None else f"no {status} runs among the latest")
    output.result(dict(listed))
    return ExitCode.OK


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows with their columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def seconds_of(run: Run) -> float | None:
    """Return how long a run took; None while it goes on."""
    if run["ended_at"] is None:
        return None
    begun, ended = (datetime.fromisoformat(run[name]) for name in ("begun_at", "ended_at"))
    return (ended - begun).total_seconds()


def _cells(run: Run) -> tuple[str, ...]:
    seconds = seconds_of(run)
    known = (run["steps"], run["tokens"])
    begun = datetime.fromisoformat(run["begun_at"])
    return (
        run["run_id"],
        run["state"],
        begun.strftime("%Y-%m-%d %H:%M:%S"),
        "" if seconds is None else f"{seconds:.1f}",
        *("" if value is None else str(value) for value in known),
        cut(run["conversation_id"] or ""),
    )
