"""The URL of a configuration store: its kind, its table, and a form without the password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from retunable.config.items import StoreKind
from retunable.errors import ConfigurationError

_KINDS: Final[dict[str, StoreKind]] = {
    "redis": "redis",
    "rediss": "redis",
    "postgresql": "postgresql",
    "postgres": "postgresql",
}
DEFAULT_TABLE: Final = "configuration"


@dataclass(frozen=True, slots=True)
class StoreURL:
    """One store, as a client library takes it; ``table`` is PostgreSQL's.

    ``text`` may hold a password: show ``shown``, which psql takes too.
    """

    kind: StoreKind
    text: str
    table: str = DEFAULT_TABLE

    @classmethod
    def parse(cls, text: str) -> StoreURL:
        """Read a URL; ``?table=NAME`` names another table than ``configuration``.

        Raises:
            ConfigurationError: there is no writer for such a URL.
        """
        try:
            parts = urlsplit(text)
            kind = _KINDS[parts.scheme]
        except (ValueError, KeyError) as error:
            raise ConfigurationError(
                "a store URL starts with redis://, rediss:// or postgresql://, like "
                "redis://localhost:6379 or postgresql://user@localhost:5432/database"
            ) from error
        if kind == "redis":
            return cls(kind, text)
        query = query_pairs(parts.query)
        table = dict(query).get("table") or DEFAULT_TABLE
        rest = query_text([pair for pair in query if pair[0] != "table"])
        return cls(kind, urlunsplit(parts._replace(scheme="postgresql", query=rest)), table)

    @property
    def shown(self) -> str:
        """The URL without user's password, as a message may show it."""
        parts = urlsplit(self.text)
        _, at, host = parts.netloc.rpartition("@")
        user = f"{parts.username}@" if at and parts.username else ""
        query = [
            (name, "***" if "password" in name.lower() else value)
            for name, value in query_pairs(parts.query)
        ]
        shown = query_text(query)
        return urlunsplit(parts._replace(netloc=user + host, query=shown, fragment=""))


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Read a query as libpq does: a plus is a plus."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def query_text(pairs: list[tuple[str, str]]) -> str:
    """Write a query that libpq reads: a space is %20."""
    return urlencode(pairs, quote_via=quote, safe="*/:")
