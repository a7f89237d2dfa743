"""Which writer the URL of a configuration store asks for."""

from __future__ import annotations

from retunable.release.sqlite_writer import SQLiteWriter
from retunable.release.store_url import StoreURL
from retunable.release.writer import ConfigurationWriter, Publisher


def open_writer(url: StoreURL) -> ConfigurationWriter:
    """Connect to the store of a URL, to read and write items.

    Raises:
        StoreWriteError: the store is away, refuses us, or cannot be used.
    """
    return open_publisher(url)


def open_publisher(url: StoreURL) -> Publisher:
    """Connect to the store of a URL, to publish releases too.

    Raises:
        StoreWriteError: the store is away, refuses us, or cannot be used.
    """
    match url.kind:
        case "postgresql":
            from retunable.release.postgres_writer import PostgresWriter  # psycopg, where needed

            return PostgresWriter(url)
        case "sqlite":
            return SQLiteWriter(url)
        case _:
            from retunable.release.redis_writer import RedisWriter  # redis, where it is needed

            return RedisWriter(url)
