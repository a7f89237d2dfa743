"""The file that holds an embedded sidecar's configuration: sound, private, without a secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retunable.cli.doctor.finding import Finding, error, ok, warning


@dataclass(frozen=True, slots=True, kw_only=True)
class SQLiteFacts:
    """What a file is like; ``check`` is SQLite's own word on it."""

    path: Path
    mode: int
    check: str
    secret_key: str | None = None


def check_sqlite(facts: SQLiteFacts) -> Iterator[Finding]:
    """Look at the store of an agent."""
    if facts.check == "ok":
        yield ok("store", f"{facts.path} is sound")
    else:
        yield error(
            "store",
            f"{facts.path} is broken: {facts.check}",
            f"stop the agent and move it away: mv {facts.path} {facts.path}.broken",
        )
    if facts.mode & 0o077:
        yield warning(
            "store",
            f"others on this machine may read {facts.path} (mode {facts.mode:03o})",
            f"chmod 600 {facts.path}",
        )
    if facts.secret_key:
        yield error(
            "secrets",
            f"{facts.secret_key} lies in the configuration store in plain",
            f"sqlite3 {facts.path} \"DELETE FROM configuration WHERE key = '{facts.secret_key}'\""  # noqa: S608 - a line for a person to type
            "   (then renew that key where it was issued)",
        )
