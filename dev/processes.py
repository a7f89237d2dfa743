"""Child processes that die with this one, write to a log file and are signalled by their handle only.

What a child is (Redis, daprd …) and when it is ready is decided by whoever starts it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LAUNCHER = Path(__file__).with_name("launch.py")
POLL_SECONDS = 0.01


class PartFailed(RuntimeError):
    """A part did not start, did not become ready or ended by itself; the message has its last words."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What to start. `environment` is the whole of it; `log=None` passes the output through."""

    name: str
    command: Sequence[str | Path]
    log: Path | None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    working_directory: Path | None = None
    user: str = ""
    death_signal: signal.Signals = signal.SIGKILL


class ChildProcess:
    """One running child; the only way to signal it."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self._popen = _spawner().start(launch)
        self.pid = self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code, or minus the number of the signal that ended it; None while it runs."""
        return self._popen.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the child has ended (its pid is never reused here)."""
        self._popen.send_signal(number)

    def wait(self, *, within_seconds: float) -> int | None:
        """Wait for the end and return the exit code, or None when it still runs after that long."""
        try:
            return self._popen.wait(within_seconds)
        except subprocess.TimeoutExpired:
            return None

    def terminate(
        self, *, within_seconds: float = 5.0, number: signal.Signals = signal.SIGTERM
    ) -> int:
        """Ask it to end, then kill it; also ends a paused child. Returns the exit code."""
        self.send(number)
        self.send(signal.SIGCONT)
        exit_code = self.wait(within_seconds=within_seconds)
        return self.kill() if exit_code is None else exit_code

    def kill(self) -> int:
        """Kill -9 and wait until it is gone."""
        self.send(signal.SIGKILL)
        return self._popen.wait()

    def pause(self) -> None:
        """Stop it with SIGSTOP and return when the kernel says that it stands still."""
        self.send(signal.SIGSTOP)
        wait_until(
            lambda: not self.running or self._status() == psutil.STATUS_STOPPED,
            what=f"{self.launch.name} to stand still",
            within_seconds=5.0,
        )

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def last_words(self, lines: int = 20) -> str:
        """Return the end of its log."""
        if self.launch.log is None or not self.launch.log.exists():
            return ""
        text = self.launch.log.read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _status(self) -> str:
        return psutil.Process(self.pid).status()


def wait_until(condition: Callable[[], bool], *, what: str, within_seconds: float) -> None:
    """Poll a real condition. Raises TimeoutError naming what was waited for."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within_seconds:g} s for {what}")
        time.sleep(POLL_SECONDS)


def is_alive(process: psutil.Process) -> bool:
    """Tell whether it still runs; one that only waits for its parent to take note does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _popen(launch: Launch) -> subprocess.Popen[bytes]:
    command = [str(part) for part in launch.command]
    death = [str(int(launch.death_signal)), str(os.getpid()), launch.user]
    output = None if launch.log is None else _opened(launch.log)
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), *death, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            env=dict(launch.environment),
            cwd=launch.working_directory,
            # Ctrl-C in the terminal reaches us alone; we then end the parts in order.
            start_new_session=True,
        )
    finally:
        if output is not None:
            os.close(output)


def _opened(log: Path) -> int:
    log.parent.mkdir(parents=True, exist_ok=True)
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


class _Spawner:
    """The one thread that starts children.

    Linux sends the death signal when the *thread* that started a child ends. A child started in a
    worker thread of a test would die with that worker; this thread lives as long as the process.
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[Launch, Future[subprocess.Popen[bytes]]]] = SimpleQueue()
        threading.Thread(target=self._serve, name="spawner", daemon=True).start()

    def start(self, launch: Launch) -> subprocess.Popen[bytes]:
        started: Future[subprocess.Popen[bytes]] = Future()
        self._waiting.put((launch, started))
        return started.result()

    def _serve(self) -> None:
        while True:
            launch, started = self._waiting.get()
            try:
                started.set_result(_popen(launch))
            except Exception as error:  # noqa: BLE001 - handed whole to the caller, who waits for it
                started.set_exception(error)


@cache
def _spawner() -> _Spawner:
    return _Spawner()
