"""Asks a Redis about itself, as the user of its URL."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any, Final, cast

import redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from retunable.cli.doctor.redis_store import RedisFacts
from retunable.release.redis_writer import RedisWriter

SETTINGS: Final = (
    "notify-keyspace-events",
    "appendonly",
    "save",
    "maxmemory",
    "maxmemory-policy",
)


def redis_facts(writer: RedisWriter, *, document: str | None, secret_key: str) -> RedisFacts:
    """Fetch what the checks look at."""
    client = writer.client
    info = _info(client)
    config_file = str(info.get("config_file", ""))
    return RedisFacts(
        shown=writer.describe(),
        version=str(info.get("redis_version", "")),
        role=str(info.get("role", "master")),
        user=_user(client),
        settings=_settings(client),
        config_file=config_file,
        file_flags=_flags_in(Path(config_file)) if config_file else None,
        may_subscribe=_may_subscribe(client, document or secret_key),
        secret_key=secret_key if secret_key in writer.read([secret_key]) else None,
    )


def _info(client: redis.Redis) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for section in ("server", "replication"):
        try:
            found.update(client.info(section))
        except RedisError:
            return found
    return found


def _settings(client: redis.Redis) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for name in SETTINGS:
        try:
            answer: Any = client.config_get(name)
        except (NoPermissionError, ResponseError):  # no right, or CONFIG renamed away
            return None
        found.update({_text(key): _text(value) for key, value in answer.items()})
    return found


def _user(client: redis.Redis) -> str:
    try:
        return _text(client.acl_whoami())
    except RedisError:
        return "default"


def _may_subscribe(client: redis.Redis, key: str) -> bool:
    database = client.connection_pool.connection_kwargs.get("db") or 0
    with closing(cast(Any, client).pubsub()) as subscription:
        try:
            subscription.subscribe(f"__keyspace@{database}__:{key}")
            return subscription.get_message(timeout=2.0) is not None
        except NoPermissionError:
            return False


def _flags_in(file: Path) -> str | None:
    """Return the notify flags of a configuration file, None where it cannot be read."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return None
    flags = ""
    for line in lines:
        name, _, value = line.strip().partition(" ")
        if name.lower() == "notify-keyspace-events":
            flags = value.strip().strip("\"'")
    return flags


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
