"""The record that a running agent leaves in its folder, so that a command finds it.

One file per process: ``.retunable/agents/<document key>-<pid>.json``. A record whose process is
gone is removed by whoever reads it; a new process with the old number is not taken for it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from retunable.config.declaration import Declaration
from retunable.errors import ConfigurationError

AGENTS_FOLDER: Final = Path(".retunable/agents")
STORE_VARIABLE: Final = "RETUNABLE_STORE"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePlace:
    """Where the agent's items are; ``url`` only where it was told and holds no password."""

    component: str | None
    prefix: str
    document_key: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRecord:
    """One running agent; ``process`` tells its process from a later one of the same number."""

    agent: str
    environment: str
    app_id: str | None
    pid: int
    process: str
    url: str
    sidecar: str | None
    store: StorePlace
    started_at: str

    @classmethod
    def of_this_process(
        cls,
        declaration: Declaration,
        *,
        url: str,
        component: str | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> AgentRecord:
        """Describe an agent of this process, from what its environment says."""
        port = environment.get("DAPR_HTTP_PORT")
        return cls(
            agent=declaration.agent,
            environment=declaration.environment,
            app_id=environment.get("APP_ID"),
            pid=os.getpid(),
            process=process_mark(os.getpid()) or "",
            url=url,
            sidecar=f"http://127.0.0.1:{port}" if port else None,
            store=StorePlace(
                component=component,
                prefix=declaration.prefix,
                document_key=declaration.document_key,
                url=_shown(environment.get(STORE_VARIABLE)),
            ),
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )

    @classmethod
    def from_json(cls, data: Any) -> AgentRecord:
        """Read a record's JSON; raise TypeError where it has another shape."""
        return cls(**{**data, "store": StorePlace(**data["store"])})


@contextmanager
def announced(record: AgentRecord, folder: Path = AGENTS_FOLDER) -> Iterator[None]:
    """Keep a record in the folder while the block runs; a read-only disk is a warning."""
    path = folder / f"{_file_stem(record)}-{record.pid}.json"
    try:
        _write(path, json.dumps(asdict(record), indent=1))
    except OSError as error:
        log.warning("the command line will not find this agent: cannot write %s (%s)", path, error)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def running_agents(folder: Path = AGENTS_FOLDER) -> tuple[AgentRecord, ...]:
    """Return the records of processes that live, oldest first; remove the others.

    Raises:
        ConfigurationError: the folder is another user's.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except PermissionError as error:
        raise ConfigurationError(
            f"{folder} cannot be read by this user; run this as the user who runs the agent"
        ) from error
    found = [record for path in paths if (record := _read(path))]
    return tuple(sorted(found, key=lambda record: record.started_at))


def process_mark(pid: int) -> str | None:
    """Return what tells a process from any other that ever had its number; None if it is gone."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # The name in parentheses may hold anything; field 22 is the start time in ticks.
            return stat.read_text().rpartition(")")[2].split()[19]
        except OSError:
            return None
    listed = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607 - where ps lies differs by system
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.strip() or None


def _read(path: Path) -> AgentRecord | None:
    try:
        record = AgentRecord.from_json(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if process_mark(record.pid) == record.process:
        return record
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    return None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # mkstemp makes the file 0600; it becomes visible whole.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".new")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _file_stem(record: AgentRecord) -> str:
    prefix = record.store.prefix.replace("/", ".")
    return re.sub(r"[^A-Za-z0-9._]", "_", prefix + record.store.document_key)


def _shown(url: str | None) -> str | None:
    """Return a URL that may lie in a file: none with a password in it."""
    if not url:
        return None
    return None if urlsplit(url).password or "password" in url.lower() else url
