"""The URL of a configuration store: its kind, what in it is meant, and a form without the password.

Also which file a release store's URL names, which is read in another way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from retunable.config.items import StoreKind
from retunable.errors import ConfigurationError

_KINDS: Final[dict[str, StoreKind]] = {
    "redis": "redis",
    "rediss": "redis",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "sqlite": "sqlite",
}
DEFAULT_TABLE: Final = "configuration"
DEFAULT_COMPONENT: Final = "runtime-config"
_SQLITE: Final = "sqlite:///"


@dataclass(frozen=True, slots=True)
class StoreURL:
    """One store, as a client library takes it; ``table`` is PostgreSQL's.

    ``component`` is SQLite's: a file holds the items of several components. ``text`` may hold a
    password: show ``shown``, which psql takes too.
    """

    kind: StoreKind
    text: str
    table: str = DEFAULT_TABLE
    component: str = DEFAULT_COMPONENT

    @classmethod
    def parse(cls, text: str, *, component: str = DEFAULT_COMPONENT) -> StoreURL:
        """Read a URL; ``?table=NAME`` names another table than ``configuration``.

        ``component`` is whose items are meant in a SQLite file.

        Raises:
            ConfigurationError: there is no writer for such a URL.
        """
        try:
            parts = urlsplit(text)
            kind = _KINDS[parts.scheme]
        except (ValueError, KeyError) as error:
            raise ConfigurationError(
                "a store URL starts with redis://, rediss://, postgresql:// or sqlite:///, like "
                "redis://localhost:6379, postgresql://user@localhost:5432/database or "
                "sqlite:///home/me/agent/.retunable/configuration.db"
            ) from error
        if kind == "redis":
            return cls(kind, text)
        if kind == "sqlite":
            if parts.netloc or not parts.path or parts.query:
                raise ConfigurationError(
                    f"{text!r} names no file; write a full path after three slashes, like "
                    "sqlite:///home/me/agent/.retunable/configuration.db"
                )
            return cls(kind, text, component=component)
        query = query_pairs(parts.query)
        table = dict(query).get("table") or DEFAULT_TABLE
        rest = query_text([pair for pair in query if pair[0] != "table"])
        return cls(kind, urlunsplit(parts._replace(scheme="postgresql", query=rest)), table)

    @property
    def path(self) -> Path:
        """The file of a SQLite URL."""
        return Path(unquote(urlsplit(self.text).path))

    @property
    def shown(self) -> str:
        """The URL without user's password, as a message may show it."""
        if self.kind == "sqlite":
            return self.text
        parts = urlsplit(self.text)
        _, at, host = parts.netloc.rpartition("@")
        user = f"{parts.username}@" if at and parts.username else ""
        query = [
            (name, "***" if "password" in name.lower() else value)
            for name, value in query_pairs(parts.query)
        ]
        shown = query_text(query)
        return urlunsplit(parts._replace(netloc=user + host, query=shown, fragment=""))


def sqlite_release_file(url: str) -> Path | None:
    """Return the file of a SQLite release store's URL; None for another kind of URL.

    What follows the three slashes is a path, as SQLAlchemy reads it: ``sqlite:///a/b.db`` lies
    below the current folder, a full path has a fourth slash. A configuration store's URL always
    has a full one.
    """
    if not url.startswith(_SQLITE):
        return None
    return Path(url.removeprefix(_SQLITE)).expanduser()


def sqlite_release_url(file: Path) -> str:
    """Return the URL of a release store's file."""
    return f"{_SQLITE}{file}"


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Read a query as libpq does: a plus is a plus."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def query_text(pairs: list[tuple[str, str]]) -> str:
    """Write a query that libpq reads: a space is %20."""
    return urlencode(pairs, quote_via=quote, safe="*/:")
