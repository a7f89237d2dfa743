"""Where the embedded sidecar's data lies, and who may read it: the owner alone.

The folder holds what agents keep there too (``agents``, ``last-good``), so what belongs to one app
lies under ``apps``: no app id can then mean a folder of somebody else. What is in the files is decided by the modules that open them.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from retunable.errors import ConfigurationError, DatabaseUnavailable, DataUnusable

DEFAULT_DATA_DIR: Final = Path(".retunable")

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
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
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE))
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
    reason = "full" if error.errno in _NO_ROOM else "read-only"
    return DatabaseUnavailable(_why_unwritable(path, error), path=path, reason=reason)


def _why_unwritable(path: Path, error: OSError) -> str:
    if error.errno in _NO_ROOM:
        way_out = "make room on the disk"
    else:
        way_out = "make it and its folder writable for this user"
    return f"{path} cannot be written ({error.strerror}); {way_out}"


def _make_private_folder(folder: Path) -> None:
    """Make a folder and what is missing above it; only a new one gets its mode from us."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        _make_private_folder(folder.parent)
    folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
