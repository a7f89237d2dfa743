"""Where the embedded sidecar's data lies, how a file of it is begun, and that its owner alone reads it.

The folder holds what agents keep there too (``agents``, ``last-good``), so what belongs to one app
lies under ``apps``: no app id can then mean a folder of somebody else. What is in the files is decided by the modules that open them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from retunable.errors import ConfigurationError, DatabaseUnavailable, DataUnusable

DEFAULT_DATA_DIR: Final = Path(".retunable")

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_BESIDE: Final = ("-wal", "-shm")
"""What SQLite puts beside a database."""

_ALONE_SECONDS: Final = 5.0
"""How long the folder's lock is waited for; whoever of ours has it needs milliseconds."""

_Reason = Literal["busy", "full", "read-only"]
_ADVICE: Final[dict[_Reason, str]] = {
    "busy": "end what holds the lock of its folder",
    "full": "make room on the disk",
    "read-only": "make it and its folder writable for this user",
}

# A folder of its own under `apps`, so nothing that leads out of it or hides there.
_APP_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class DataFiles:
    """The paths of one app's data; ``configuration`` and ``messages`` are shared by all apps."""

    folder: Path
    app_id: str

    def __post_init__(self) -> None:
        if not _APP_ID.fullmatch(self.app_id):
            raise ConfigurationError(
                f"app id {self.app_id!r} cannot name a folder; use letters, digits, '-', '_' and "
                "'.', beginning with a letter or digit"
            )

    @property
    def configuration(self) -> Path:
        return configuration_file(self.folder)

    @property
    def messages(self) -> Path:
        return self.folder / "messages.db"

    @property
    def state(self) -> Path:
        return self._own / "state.db"

    @property
    def lock(self) -> Path:
        return self._own / "lock"

    @property
    def _own(self) -> Path:
        return self.folder / "apps" / self.app_id


def configuration_file(folder: Path) -> Path:
    """Return the file that `retune set` writes; any process may."""
    return folder / "configuration.db"


def make_private_file(path: Path) -> None:
    """Make sure that a database is there and that only its owner can read it, folder included.

    A file that is there is not opened: to close it would drop every lock that SQLite holds on it
    in this process (POSIX), and the next writer elsewhere would take the log away from under us.
    SQLite gives its ``-wal`` and ``-shm`` files the mode of the database.

    Raises:
        DatabaseUnavailable: the folder or the file cannot be written.
    """
    try:
        with suppress(FileNotFoundError):
            if not path.stat().st_mode & 0o077:
                return
        _make_private_folder(path.parent)
        with _alone_in(path.parent):
            _begin_database(path)
        path.chmod(_FILE_MODE)
    except OSError as error:
        raise _unavailable(path, error) from error


def check_writable(path: Path) -> None:
    """Refuse a file that SQLite would open in silence for reading alone; it is not opened here.

    Raises:
        DatabaseUnavailable: this user may not write it.
    """
    if not os.access(path, os.W_OK):
        raise _unavailable(path, PermissionError(errno.EACCES, "it is read-only for this user"))


def open_private_file(path: Path) -> int:
    """Open a file for reading and writing, making it 0600 in a folder of 0700; never inherited.

    Raises:
        DataUnusable: the folder or the file cannot be written.
    """
    try:
        _make_private_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    except OSError as error:
        raise unwritable(path, error) from error
    return descriptor


def unwritable(path: Path, error: OSError) -> DataUnusable:
    """Return the error that says why a file cannot be written, and the way out."""
    return DataUnusable(_why_unwritable(path, error), path=path)


def _unavailable(path: Path, error: OSError) -> DatabaseUnavailable:
    return DatabaseUnavailable(_why_unwritable(path, error), path=path, reason=_reason(error))


def _why_unwritable(path: Path, error: OSError) -> str:
    return f"{path} cannot be written ({error.strerror}); {_ADVICE[_reason(error)]}"


def _reason(error: OSError) -> _Reason:
    if isinstance(error, BlockingIOError):
        return "busy"
    return "full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "read-only"


def _begin_database(path: Path) -> None:
    """Make an empty database where there is none, with nothing beside it of a deleted one.

    Where the log and its index were left, those who used the new file got disk errors, and a sidecar
    that had the old one open was in the end killed by SIGBUS: the index is mapped into its memory.
    """
    if path.exists():
        return
    for suffix in _BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with suppress(FileExistsError):  # of somebody who is none of ours
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Begin files in a folder while no other process of ours does.

    Raises:
        BlockingIOError: somebody holds the folder's lock for seconds.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _lock(descriptor, until=time.monotonic() + _ALONE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, until: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
        time.sleep(0.005)


def _make_private_folder(folder: Path) -> None:
    """Make a folder and what is missing above it; only a new one gets its mode from us."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        _make_private_folder(folder.parent)
    folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
