"""The last good items on disk: one file per app id, store and agent.

Written beside and renamed, with a checksum; read with suspicion. What is read is validated
again by ``build``. A disk that cannot be written is a warning: the agent goes on without.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from retunable.config.checksum import checksum
from retunable.config.last_good import LastGood

logger = logging.getLogger("retunable")

_FORM: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose last good items a file holds."""

    app_id: str
    store: str
    agent: str
    environment: str
    prefix: str

    @property
    def file_name(self) -> str:
        """A name that people recognise and that no other owner has."""
        readable = re.sub(r"[^A-Za-z0-9.]+", "-", f"{self.app_id}-{self.store}-{self.agent}")
        identity = "\0".join(asdict(self).values()).encode()
        return f"{readable[:80]}-{hashlib.sha256(identity).hexdigest()[:12]}.json"


class LastGoodFile:
    """One owner's file in a directory."""

    def __init__(self, directory: Path, owner: Owner) -> None:
        self.path: Final = directory / owner.file_name
        self._owner = owner

    def load(self) -> LastGood | None:
        """Return what was saved; a corrupt file is set aside, named in the log, and None."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("the last good configuration %s cannot be read: %s", self.path, error)
            return None
        try:
            return _parse(raw, self._owner)
        except (ValueError, RecursionError) as error:
            self._set_aside(error)
            return None

    def save(self, last_good: LastGood) -> None:
        """Replace the file in one step; it is readable by its owner only.

        Raises:
            OSError: the disk does not take it; the old file stands.
        """
        body = {"form": _FORM, "owner": asdict(self._owner), "last_good": last_good.to_json()}
        data = json.dumps({"checksum": checksum(body), "body": body}).encode()
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".last-good-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_directory(self.path.parent)

    def age_mark(self) -> float | None:
        """Return when the file was last written or marked, in seconds since the epoch."""
        try:
            return self.path.stat().st_mtime
        except OSError:
            return None

    def set_age_mark(self) -> None:
        """Mark the file as fresh; a disk that refuses leaves an older mark, which is true too."""
        with contextlib.suppress(OSError):
            os.utime(self.path)

    def _set_aside(self, error: Exception) -> None:
        aside = self.path.with_suffix(".corrupt")
        logger.warning(
            "the last good configuration %s is corrupt (%s); set aside as %s",
            self.path,
            error,
            aside,
        )
        with contextlib.suppress(OSError):
            self.path.replace(aside)


def _parse(raw: bytes, owner: Owner) -> LastGood:
    data: Any = json.loads(raw.decode())
    match data:
        case {"checksum": str(given), "body": {"form": int(form), "last_good": saved} as body}:
            pass
        case _:
            raise ValueError("it has another shape")
    if form != _FORM:
        raise ValueError(f"its form is {form}, this package reads {_FORM}")
    if checksum(body) != given:
        raise ValueError("its checksum does not fit")
    if body.get("owner") != asdict(owner):
        raise ValueError("it belongs to another agent")
    return LastGood.from_json(saved)


def _sync_directory(directory: Path) -> None:
    # The rename itself survives a power cut only once the directory is on disk.
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
