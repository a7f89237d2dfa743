"""A component's metadata as a store URL: what Dapr calls it, what the client libraries call it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from retunable.errors import ConfigurationError
from retunable.release.store_url import DEFAULT_TABLE, query_pairs, query_text

Metadata = Callable[[str], str | None]
"""Looks up one metadata item of a component."""

TRUE: Final = frozenset({"true", "1", "yes", "y", "on"})

# What pgx takes in a connection string and libpq refuses.
_PGX_ONLY = re.compile(
    r"pool_\w+|default_query_exec_mode|statement_cache_capacity|description_cache_capacity"
)
_PAIR = re.compile(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s']\S*|)")
_LIBPQ_NAMES: Final = {"database": "dbname"}


def redis_url(metadata: Metadata, component: str) -> str:
    """Return the URL of a ``configuration.redis`` component.

    Raises:
        ConfigurationError: it is a cluster, a Sentinel or uses a cloud's own login.
    """
    if metadata("redisType") == "cluster":
        raise ConfigurationError(
            f"component {component!r} is a Redis Cluster, whose change events reach a subscriber "
            "only from one node; keep the configuration on a single primary"
        )
    for name in ("failover", "useEntraID", "useAWSIAM"):
        if (metadata(name) or "").lower() in TRUE:
            raise ConfigurationError(
                f"component {component!r} uses {name}, which the command line cannot follow; "
                "name the primary itself with --store"
            )
    hosts = (metadata("redisHost") or "localhost:6379").split(",")
    user, password = metadata("redisUsername") or "", metadata("redisPassword") or ""
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
    scheme = "rediss" if (metadata("enableTLS") or "").lower() in TRUE else "redis"
    return f"{scheme}://{login}{hosts[0].strip()}/{metadata('redisDB') or '0'}"


def postgres_url(metadata: Metadata) -> str:
    """Return the URL of a ``configuration.postgresql`` component, its table in the query."""
    values = connection_values(metadata("connectionString") or "")
    for ours, theirs in _SEPARATE.items():
        if value := metadata(theirs):
            values[ours] = value
    if table := metadata("table"):
        values["table"] = "" if table == DEFAULT_TABLE else table
    return _url_of(values)


def pool_size(connection: str) -> int | None:
    """Return the ``pool_max_conns`` of a connection string, if it has one."""
    size = dict(_pairs(connection)).get("pool_max_conns", "")
    return int(size) if size.isdecimal() else None


def connection_values(connection: str) -> dict[str, str]:
    """Return a connection string's values by libpq's names, without those that pgx adds."""
    return {
        _LIBPQ_NAMES.get(name, name): value
        for name, value in _pairs(connection)
        if not _PGX_ONLY.fullmatch(name)
    }


_SEPARATE: Final = {
    "host": "host",
    "hostaddr": "hostaddr",
    "port": "port",
    "dbname": "database",
    "user": "user",
    "password": "password",
    "sslrootcert": "sslRootCert",
}


def _pairs(connection: str) -> list[tuple[str, str]]:
    if connection.startswith(("postgres://", "postgresql://")):
        parts = urlsplit(connection)
        # The netloc stays together: libpq reads what stands in it, %-escapes and all.
        whole = urlunsplit(("", parts.netloc, parts.path, "", ""))
        return [("_location", whole), *query_pairs(parts.query)]
    return [(name, _unquoted(value)) for name, value in _PAIR.findall(connection)]


def _unquoted(value: str) -> str:
    if value.startswith("'"):
        value = value[1:-1]
    return re.sub(r"\\(.)", r"\1", value)


def _url_of(values: dict[str, str]) -> str:
    location = values.pop("_location", None)
    if location is None:
        location = _location(values)
    query = query_text([(name, value) for name, value in values.items() if value])
    return f"postgresql:{location}{'?' if query else ''}{query}"


def _location(values: dict[str, str]) -> str:
    """Put what a person looks for into the URL itself; a socket's folder stays in the query."""
    user, password = values.pop("user", ""), values.pop("password", "")
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    host = "" if values.get("host", "").startswith("/") else values.pop("host", "")
    port = values.pop("port", "") if host else ""
    database = quote(values.pop("dbname", ""), safe="")
    return f"//{login}{'@' if login else ''}{host}{':' if port else ''}{port}/{database}"
