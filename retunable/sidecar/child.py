"""The embedded sidecar as a child process: started, ready, ended, and never left behind.

It looks after its parent itself (``--parent-pid``), so that it ends with one that was killed.
Whether there is to be a child, and what follows when one dies, is decided by others.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any, Final, Self

from retunable.errors import Unavailable
from retunable.sidecar.settings import SidecarSettings

READY_SECONDS: Final = 30.0
"""Far more than the 0.3 s that it takes: a first start on a busy machine compiles modules."""
LAST_SECONDS: Final = 5.0
"""For one that has said why it cannot serve."""


class SidecarChild:
    """One child that is ready, until it ends.

    ``stood_in`` and ``left_out`` are the components of the files that it keeps in SQLite instead,
    and those that only daprd serves.
    """

    def __init__(self, process: subprocess.Popen[bytes], said: Mapping[str, Any]) -> None:
        self._process = process
        self.grpc_port: int = said["grpc_port"]
        self.http_port: int = said["http_port"]
        self.stood_in = tuple(map(str, said.get("stood_in", ())))
        self.left_out = tuple(map(str, said.get("left_out", ())))

    @classmethod
    def start(cls, settings: SidecarSettings, *, ready_seconds: float = READY_SECONDS) -> Self:
        """Start a child and wait until it serves; its log goes to our standard error.

        Raises:
            Unavailable: it did not come up; the message says why.
        """
        process = _spawn(settings)
        try:
            said = _first_word(process, within_seconds=ready_seconds)
            if said.get("ready") is not True:
                code = _end_of(process, within_seconds=LAST_SECONDS)
                raise _not_ready(settings, code, said, ready_seconds=ready_seconds)
            return cls(process, said)
        except BaseException:
            process.kill()
            process.wait()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self) -> int:
        """Wait for its end; returns the exit code, or minus the number of the signal."""
        return self._process.wait()

    def stop(self, *, within_seconds: float) -> int:
        """Ask it to end, and kill it where it does not; returns as ``wait`` does."""
        self._process.terminate()
        return _end_of(self._process, within_seconds=within_seconds)


def _spawn(settings: SidecarSettings) -> subprocess.Popen[bytes]:
    told = (*settings.arguments, f"--parent-pid={os.getpid()}", "--log-level=warning")
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "retunable.sidecar", *told],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # Ctrl-C in the terminal reaches the parent alone, which ends the child last.
            start_new_session=True,
        )
    except OSError as error:
        raise not_started(settings, f"no process could be started ({error})") from error


def _end_of(process: subprocess.Popen[bytes], *, within_seconds: float) -> int:
    """Wait for an end that is near, and kill what does not end."""
    try:
        return process.wait(within_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _first_word(process: subprocess.Popen[bytes], *, within_seconds: float) -> dict[str, Any]:
    """Return the one JSON line of a child; empty where it ended or was too late."""
    deadline = threading.Timer(within_seconds, process.kill)
    deadline.daemon = True
    deadline.start()
    with process.stdout or io.BytesIO() as output:
        line = output.readline()
    deadline.cancel()
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _not_ready(
    settings: SidecarSettings, code: int, said: Mapping[str, Any], *, ready_seconds: float
) -> Unavailable:
    if "error" in said:
        reason = str(said["error"])
    elif code == -signal.SIGKILL:
        reason = f"it was not ready within {ready_seconds:g} s"
    else:
        reason = f"it ended with {code}; its log says why"
    return not_started(settings, reason)


def not_started(settings: SidecarSettings, reason: str) -> Unavailable:
    """Return the error that says why a sidecar did not come up."""
    return Unavailable(
        f"the embedded sidecar of {settings.app_id!r} did not start: {reason}", part="sidecar"
    )
