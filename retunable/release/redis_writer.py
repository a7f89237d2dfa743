"""Writes configuration items to one Redis: plain strings, several keys in one MULTI/EXEC.

Reads as Dapr's component reads: the text before the first ``||`` is the value, what follows it
up to the next is the version. The only module here that knows the redis package.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.resources import files
from typing import Any, Final, TypeVar, cast

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
    WatchError,
)
from redis.retry import Retry

from retunable.config.items import Item, Items, StoreKind, Unreadable
from retunable.errors import StoreWriteError
from retunable.release.landing import Landed, Landing, Moved, Outrun, Publication
from retunable.release.store_url import StoreURL
from retunable.release.writer import Change, Expected

SECONDS: Final = 3.0
Result = TypeVar("Result")


class RedisWriter:
    """One Redis, single or primary."""

    kind: StoreKind = "redis"

    def __init__(self, url: StoreURL) -> None:
        self._url = url
        try:
            self.client = redis.Redis.from_url(
                url.text,
                socket_connect_timeout=SECONDS,
                socket_timeout=SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise StoreWriteError(f"{url.shown} is no Redis URL: {error}") from error
        try:
            self._call(self._check_server)
        except StoreWriteError:
            self.close()
            raise

    def read(self, keys: Collection[str]) -> Items:
        """Return the items under these keys; what is no string is absent, as in Dapr."""
        wanted = list(keys)
        found = self._call(lambda: self._get_all(wanted))
        return {key: item for key, item in zip(wanted, found, strict=True) if item is not None}

    def write(self, changes: Mapping[str, Change], *, expect: Expected | None = None) -> None:
        """Write all changes in one transaction, if what is expected still stands there."""
        for key, text in changes.items():
            check_storable(key, text)
        self._call(lambda: self._transaction(changes, expect or {}))

    def publish(self, publication: Publication) -> Landing:
        """Compare and set in one script, which Redis runs without anything between."""
        check_storable(publication.key, publication.text)
        arguments = [publication.text.encode(), str(publication.generation).encode()]
        shown = {publication.key: publication.seen, **publication.overrides}
        for item in shown.values():
            arguments += _shown(item)
        arguments.append(b"exact" if publication.exact else b"")
        script = files("retunable.release").joinpath("publish.lua").read_text(encoding="utf-8")
        publish = self.client.register_script(script)
        return _landing(self._call(lambda: publish(keys=publication.keys, args=arguments)))

    def describe(self) -> str:
        return self._url.shown

    def close(self) -> None:
        self.client.close()

    def _check_server(self) -> None:
        self.client.ping()
        try:
            server: Any = self.client.info("server")
        except NoPermissionError:
            return
        if server.get("redis_mode") == "cluster":
            raise StoreWriteError(
                f"{self._url.shown} is a Redis Cluster, whose change events reach a subscriber "
                "only from one node; keep the configuration on a single primary"
            )

    def _get_all(self, keys: list[str]) -> list[Item | Unreadable | None]:
        # One round trip: 15 single ones cost 8 ms of CPU. Not MGET, which asks for one more right.
        with self.client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.get(key)
            return [_item_or_raise(reply) for reply in pipe.execute(raise_on_error=False)]

    def _get(self, key: str) -> Item | Unreadable | None:
        return self._get_all([key])[0]

    def _check_type(self, key: str) -> None:
        """Refuse to overwrite what is no text: it is somebody's data under one of our names."""
        try:
            self.client.get(key)
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                raise _no_text(key) from error
            raise

    def _transaction(self, changes: Mapping[str, Change], expect: Expected) -> None:
        with self.client.pipeline(transaction=True) as pipe:
            if expect:
                cast(Any, pipe).watch(*expect)
            for key in changes:
                self._check_type(key)
            for key, expected in expect.items():
                if self._get(key) != expected:
                    raise _changed(key)
            pipe.multi()
            for key, text in changes.items():
                if text is None:
                    pipe.delete(key)
                else:
                    pipe.set(key, text.encode())
            try:
                pipe.execute()
            except WatchError as error:
                raise _changed(", ".join(expect)) from error

    def _call(self, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except (AuthenticationError, AuthorizationError) as error:
            raise StoreWriteError(
                f"Redis at {self._url.shown} refuses the login ({error}); "
                "put user and password into the URL: redis://user:password@host:6379"
            ) from error
        except NoPermissionError as error:
            raise StoreWriteError(
                f"Redis at {self._url.shown} refuses: {error}; "
                "the user needs +get +set +del +watch +multi +exec +eval +evalsha +script|load on "
                "the agent's keys"
            ) from error
        except ResponseError as error:
            raise StoreWriteError(f"Redis at {self._url.shown} refuses: {error}") from error
        except RedisError as error:
            raise StoreWriteError(
                f"Redis at {self._url.shown} cannot be reached ({error}); "
                "start it, or name another store with --store"
            ) from error


def item_of(raw: bytes) -> Item | Unreadable | None:
    """Return what Dapr's component makes of a Redis string; None where it is absent to it."""
    try:
        value, bar, rest = raw.decode().partition("||")
    except UnicodeDecodeError:
        return Unreadable("is not valid UTF-8")
    if not value:
        return None
    return Item(value, rest.partition("||")[0] if bar else "")


def _item_or_raise(reply: Any) -> Item | Unreadable | None:
    if isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE"):
        return None
    if isinstance(reply, Exception):
        raise reply
    return None if reply is None else item_of(reply)


def check_storable(key: str, text: Change) -> None:
    """Raise StoreWriteError for a text that Redis would not give back as it is."""
    if text is not None and "||" in text:
        raise StoreWriteError(
            f"{key}: on Redis Dapr cuts a value at '||'; write the field in a document, which "
            "can hold it escaped: retune set --file batch.json"
        )
    if text == "":
        raise StoreWriteError(f"{key}: an empty value counts as absent; use: retune unset {key}")


def _shown(item: Item | Unreadable | None) -> Iterator[bytes]:
    match item:
        case None:
            yield from (b"absent", b"", b"")
        case Item(value, version):
            yield from (b"item", value.encode(), version.encode())
        case Unreadable():
            yield from (b"unreadable", b"", b"")


def _landing(reply: Any) -> Landing:
    word, *details = [part.decode() for part in reply]
    match word:
        case "landed" | "already":
            return Landed(already=word == "already")
        case "outrun":
            return Outrun(int(details[0]))
        case "moved":
            return Moved(tuple(details))
        case _:
            raise _no_text(details[0])


def _no_text(key: str) -> StoreWriteError:
    return StoreWriteError(
        f"{key} holds no text but another type of Redis value; "
        f"if nobody needs it: redis-cli DEL {key}"
    )


def _changed(keys: str) -> StoreWriteError:
    return StoreWriteError(
        f"{keys} was changed by somebody else at the same time; nothing was written, run it again"
    )
