"""The life of one part: started, ready, paused, killed, started again on the same ports and data.

What the part runs and how it shows that it is ready is its own class's business.
"""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Self

from dev.processes import ChildProcess, PartFailed, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from dev.processes import Launch


class Part(ABC):
    """One server process of a stack. Also a context manager: started inside, stopped after."""

    name: str
    stop_signal = signal.SIGTERM
    start_seconds = 20.0
    stop_seconds = 10.0

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._process: ChildProcess | None = None

    @abstractmethod
    def launch(self) -> Launch:
        """Say what to run; called at every start."""

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether it serves requests now."""

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """Tell whether the process exists; a paused one does."""
        return self._process is not None and self._process.running

    @property
    def process(self) -> ChildProcess:
        """The process of the last start. Raises PartFailed before the first."""
        if self._process is None:
            raise PartFailed(f"{self.name} was never started")
        return self._process

    def start(self) -> None:
        """Start it and wait until it serves. Raises PartFailed with the end of its log."""
        self.begin()
        self.wait_ready()

    def begin(self) -> None:
        """Start it without waiting, so that several parts come up side by side."""
        if self.running:
            raise PartFailed(f"{self.name} runs already")
        self.directory.mkdir(parents=True, exist_ok=True)
        self._process = ChildProcess(self.launch())

    def wait_ready(self) -> None:
        process = self.process
        try:
            wait_until(
                lambda: not process.running or self.answers(),
                what=f"{self.name} to serve",
                within_seconds=self.start_seconds,
            )
        except TimeoutError as late:
            process.kill()
            raise PartFailed(f"{late}; its log ends:\n{process.last_words()}") from late
        if not process.running:
            raise PartFailed(
                f"{self.name} ended with {process.exit_code}; its log ends:\n{process.last_words()}"
            )

    def stop(self) -> None:
        """End it in an orderly way, or not at all when it does not run."""
        if self.running:
            self.process.terminate(within_seconds=self.stop_seconds, number=self.stop_signal)

    def terminate(self) -> None:
        """Send SIGTERM and wait for the end."""
        self.process.terminate(within_seconds=self.stop_seconds)

    def kill(self) -> None:
        """Kill -9 and wait until it is gone."""
        self.process.kill()

    def restart(self) -> None:
        """Stop it if it runs and start it again: same ports, same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: the process stays, its sockets stay open, nothing answers."""
        self.process.pause()

    def resume(self) -> None:
        self.process.resume()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def http_status(port: int, path: str, *, seconds: float = 1.0) -> int | None:
    """Return the status of a GET on 127.0.0.1, or None when nothing answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
