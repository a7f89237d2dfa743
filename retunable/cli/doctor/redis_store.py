"""A Redis that holds configuration: change events, rights and durability."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from retunable.cli.doctor.finding import Finding, error, ok, warning

WANTED_FLAGS: Final = "Kg$xe"
REQUIRED: Final = {
    "K": "no event names its key's channel",
    "$": "SET is not announced",
    "g": "DEL is not announced",
    "x": "an expired key is not announced",
}
_A_STANDS_FOR: Final = "g$lshztxed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisFacts:
    """What one Redis says of itself to the user that we are.

    ``settings`` is None where CONFIG is not allowed; ``file_flags`` are the notify flags in
    its configuration file, None where that file cannot be read from here.
    """

    shown: str
    version: str = ""
    role: str = "master"
    user: str = "default"
    settings: Mapping[str, str] | None = field(default_factory=dict)
    config_file: str = ""
    file_flags: str | None = None
    may_subscribe: bool = True
    secret_key: str | None = None


def check_redis(facts: RedisFacts) -> Iterator[Finding]:
    """Look at the store of an agent."""
    yield ok("store", f"Redis {facts.version} answers at {facts.shown}")
    if facts.role != "master":
        yield error(
            "store",
            f"it is a {facts.role} and takes no writes",
            "name the primary in --store and in the component's redisHost",
        )
    yield _rights_to_listen(facts)
    yield from _flags(facts)
    yield _durability(facts)
    yield from _eviction(facts)
    if facts.secret_key:
        yield error(
            "secrets",
            f"{facts.secret_key} lies in the configuration store, readable by every app on daprd",
            f"redis-cli DEL {facts.secret_key}   (then renew that key where it was issued)",
        )


def missing_flags(flags: str) -> dict[str, str]:
    """Return the flags that Dapr's subscription needs and that are off, and what that means."""
    on = set(flags.replace("A", _A_STANDS_FOR))
    return {flag: meaning for flag, meaning in REQUIRED.items() if flag not in on}


def _rights_to_listen(facts: RedisFacts) -> Finding:
    if facts.may_subscribe:
        return ok("redis rights", f"user {facts.user} may subscribe to the keys' channels")
    return error(
        "redis rights",
        f"user {facts.user} may not subscribe to __keyspace@…__ channels: no change is announced",
        f"redis-cli ACL SETUSER {facts.user} +subscribe +unsubscribe '&*'   (then ACL SAVE)",
    )


def _flags(facts: RedisFacts) -> Iterator[Finding]:
    line = f"notify-keyspace-events {WANTED_FLAGS}"
    if facts.settings is None:
        yield warning(
            "redis events",
            f"user {facts.user} may not use CONFIG, so the notify flags cannot be seen here, and "
            "daprd cannot set them either",
            f"make sure that redis.conf has the line: {line}",
        )
        return
    flags = facts.settings.get("notify-keyspace-events", "")
    if missing := missing_flags(flags):
        yield error(
            "redis events",
            f"notify-keyspace-events is {flags!r}: {'; '.join(missing.values())}",
            f"redis-cli CONFIG SET notify-keyspace-events '{WANTED_FLAGS}'   (and the line in "
            f"redis.conf: {line})",
        )
    else:
        yield ok("redis events", f"notify-keyspace-events is {flags!r}")
    if facts.file_flags is not None and not missing_flags(facts.file_flags):
        yield ok("redis events", f"the flags stand in {facts.config_file}")
    elif not facts.config_file:
        yield warning(
            "redis events",
            "Redis runs without a configuration file: a restart of Redis forgets the flags",
            f"start it with a file that has the line: {line}",
        )
    elif facts.file_flags is None:
        yield warning(
            "redis events",
            f"{facts.config_file} cannot be read from here: if the flags are not in it, a restart "
            "of Redis forgets them",
            f"make sure that it has the line: {line}   (or: redis-cli CONFIG REWRITE)",
        )
    else:
        yield warning(
            "redis events",
            f"the flags are not in {facts.config_file}: a restart of Redis forgets them",
            f"add the line: {line}   (or: redis-cli CONFIG REWRITE)",
        )


def _durability(facts: RedisFacts) -> Finding:
    settings = facts.settings
    if settings is None:
        return warning(
            "durability",
            f"user {facts.user} may not use CONFIG, so durability cannot be seen here",
            "make sure that redis.conf has the line: appendonly yes",
        )
    if settings.get("appendonly") == "yes":
        return ok("durability", "appendonly is on")
    mend = "redis-cli CONFIG SET appendonly yes   (and the line in redis.conf: appendonly yes)"
    if settings.get("save"):
        return warning(
            "durability", "appendonly is off: a crash loses the changes since the last save", mend
        )
    return warning("durability", "appendonly and save are off: a restart loses all of it", mend)


def _eviction(facts: RedisFacts) -> Iterator[Finding]:
    settings = facts.settings or {}
    policy = settings.get("maxmemory-policy", "noeviction")
    if settings.get("maxmemory", "0") != "0" and policy.startswith("allkeys"):
        yield warning(
            "durability",
            f"maxmemory-policy {policy} may drop configuration when memory is short",
            "redis-cli CONFIG SET maxmemory-policy noeviction   (and the same in redis.conf)",
        )
