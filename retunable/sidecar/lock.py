"""One sidecar per app id and data folder: an exclusive lock that the kernel drops with its holder.

The lock file also says who holds it, so that a second one can name the first.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from retunable.errors import DataUnusable, SidecarRuns
from retunable.sidecar.files import DataFiles, open_private_file, unwritable

_LONGEST_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who runs a sidecar; a port is 0 until it listens."""

    pid: int
    grpc_port: int = 0
    http_port: int = 0


class AppLock:
    """The right to be the sidecar of one app id."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, files: DataFiles) -> Self:
        """Take the lock of an app id at once.

        Raises:
            SidecarRuns: another process holds it.
            DataUnusable: the lock file cannot be written.
        """
        descriptor = open_private_file(files.lock)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise _refused(files) from error
        lock = cls(files.lock, descriptor)
        try:
            lock.say(Holder(pid=os.getpid()))
        except DataUnusable:
            lock.release()
            raise
        return lock

    def say(self, holder: Holder) -> None:
        """Write who holds it.

        Raises:
            DataUnusable: the disk is full.
        """
        text = json.dumps(asdict(holder)).encode()
        try:
            # Over what stands there: the room of it needs not be found anew on a full disk.
            os.pwrite(self._descriptor, text, 0)
            os.ftruncate(self._descriptor, len(text))
        except OSError as error:
            raise unwritable(self._path, error) from error

    def release(self) -> None:
        """Let another sidecar take it. The file stays: removing it would split the lock in two.

        Closing is not enough: a process that was forked off meanwhile has it open too.
        """
        os.ftruncate(self._descriptor, 0)
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)


def read_holder(path: Path) -> Holder | None:
    """Return who says that it holds a lock; a killed holder says so too."""
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(_LONGEST_BYTES))
        return Holder(**said)
    except (OSError, ValueError, TypeError):
        return None


def _refused(files: DataFiles) -> SidecarRuns:
    holder = read_holder(files.lock) or Holder(pid=0)
    return SidecarRuns(files.app_id, folder=files.folder, **asdict(holder))
