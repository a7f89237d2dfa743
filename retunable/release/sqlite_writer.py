"""Writes configuration items to an embedded sidecar's file, which any process of its user may.

The file's own module has the SQL; here its refusals become those of a writer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from retunable.config.items import Items, StoreKind, present
from retunable.errors import DatabaseUnavailable, DataUnusable, StoreWriteError
from retunable.release.landing import Landed, Landing, Publication, deletions, judge
from retunable.release.store_url import StoreURL
from retunable.release.writer import Change, Expected
from retunable.sidecar.configuration import ConfigurationFile

SECONDS: Final = 3.0


class SQLiteWriter:
    """The items of one component in one file; nothing stays open between calls."""

    kind: StoreKind = "sqlite"

    def __init__(self, url: StoreURL, *, patience_seconds: float = SECONDS) -> None:
        if not url.path.is_file():
            raise StoreWriteError(
                f"there is no file {url.path}; an embedded sidecar makes it: python agent.py "
                "(or: retune sidecar)"
            )
        self._url = url
        self._file = ConfigurationFile(
            url.path, store=url.component, patience_seconds=patience_seconds
        )

    def read(self, keys: Collection[str]) -> Items:
        """Return the items under these keys, all as of one moment."""
        if not keys:
            return {}
        try:
            items = present(self._file.read(keys))
        except DataUnusable as error:
            raise _unread(error) from error
        return {key: items[key] for key in keys if key in items}

    def write(self, changes: Mapping[str, Change], *, expect: Expected | None = None) -> None:
        """Write all changes in one transaction, if what is expected still stands there."""
        for key, text in changes.items():
            if text == "":
                raise StoreWriteError(
                    f"{key}: an empty value counts as absent; use: retune unset {key}"
                )
        try:
            differing = self._file.write(changes, expect=expect)
        except DataUnusable as error:
            raise StoreWriteError(f"{error}; nothing was written") from error
        if differing:
            raise StoreWriteError(
                f"{', '.join(differing)} was changed by somebody else at the same time; "
                "nothing was written, run it again"
            )

    def publish(self, publication: Publication) -> Landing:
        """Judge what stands and put the document in its place, while nobody else can write."""

        def decision(items: Items) -> tuple[Landing, Mapping[str, Change]]:
            landing = judge(publication, items)
            if landing != Landed():
                return landing, {}
            cleared = dict.fromkeys(deletions(publication, items))
            return landing, {publication.key: publication.text, **cleared}

        try:
            return self._file.decide(publication.keys, decision)
        except DataUnusable as error:
            raise StoreWriteError(f"{error}; publish it again") from error

    def describe(self) -> str:
        return self._url.shown

    def close(self) -> None:
        """Nothing is open."""


def _unread(error: DataUnusable) -> StoreWriteError:
    other = isinstance(error, DatabaseUnavailable) and error.reason != "read-only"
    why = "" if other else " (SQLite writes beside a file that it reads, too)"
    return StoreWriteError(f"{error}{why}; nothing was read")
