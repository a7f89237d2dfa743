"""Dapr's state API on the state file."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import grpc
from dapr.proto.common.v1 import common_pb2
from dapr.proto.runtime.v1 import state_pb2
from google.protobuf import empty_pb2

from retunable.sidecar.api.refusal import Context, Refusal, Rpc, answering, unknown_name
from retunable.sidecar.database import Database
from retunable.sidecar.state import (
    Delete,
    EtagMismatch,
    Save,
    Stored,
    apply_all,
    apply_each,
    read_state,
)

_TTL: Final = "ttlInSeconds"
_TTL_EXPIRES: Final = "ttlExpireTime"
_MISMATCH: Final = "possible etag mismatch. error from state store"


class StateApi:
    """The state stores of one app; ``clock`` gives seconds since the epoch."""

    def __init__(
        self,
        database: Database,
        *,
        stores: Collection[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._stores = stores
        self._clock = clock

    @property
    def rpcs(self) -> Mapping[str, Rpc]:
        """The RPCs of Dapr that this serves."""
        return {
            "GetState": answering(self._get),
            "GetBulkState": answering(self._get_bulk),
            "SaveState": answering(self._save),
            "DeleteState": answering(self._delete),
            "DeleteBulkState": answering(self._delete_bulk),
            "ExecuteStateTransaction": answering(self._transact),
        }

    async def _get(self, request: Any, _: Context) -> Any:
        found = await self._read(request.store_name, [request.key])
        stored = found.get(request.key)
        if stored is None:
            return state_pb2.GetStateResponse()
        return state_pb2.GetStateResponse(
            data=stored.value, etag=stored.etag, metadata=_metadata(stored)
        )

    async def _get_bulk(self, request: Any, _: Context) -> Any:
        keys = list(dict.fromkeys(request.keys))
        found = await self._read(request.store_name, keys)
        return state_pb2.GetBulkStateResponse(
            items=[_bulk_item(key, found.get(key)) for key in keys]
        )

    async def _save(self, request: Any, _: Context) -> Any:
        store = self._known(request.store_name)
        now = self._clock()
        saves = [_save(item, now, store) for item in request.states]
        await self._write_each(
            store, saves, now, doing=f"failed saving state in state store {store}"
        )
        return empty_pb2.Empty()

    async def _delete(self, request: Any, _: Context) -> Any:
        store = self._known(request.store_name)
        doing = f"failed deleting state with key {request.key}"
        await self._write_each(store, [_deletion(request)], self._clock(), doing=doing)
        return empty_pb2.Empty()

    async def _delete_bulk(self, request: Any, _: Context) -> Any:
        store = self._known(request.store_name)
        deletions = [_deletion(item) for item in request.states]
        doing = f"failed deleting state in state store {store}"
        await self._write_each(store, deletions, self._clock(), doing=doing)
        return empty_pb2.Empty()

    async def _transact(self, request: Any, _: Context) -> Any:
        store = self._known(request.storeName)
        now = self._clock()
        writings = [_operation(operation, now, store) for operation in request.operations]
        try:
            await self._database.write(lambda c: apply_all(c, store, writings, now=now))
        except EtagMismatch as error:
            raise Refusal(
                grpc.StatusCode.INTERNAL, f"error while executing state transaction: {_MISMATCH}"
            ) from error
        return empty_pb2.Empty()

    async def _read(self, store_name: str, keys: list[str]) -> Mapping[str, Stored]:
        store = self._known(store_name)
        for key in keys:
            _check_key(key)
        now = self._clock()
        return await self._database.read(
            lambda c: read_state(c, store, keys, now=now), long=len(keys) > 1
        )

    async def _write_each(
        self, store: str, writings: Iterable[Save | Delete], now: float, *, doing: str
    ) -> None:
        if await self._database.write(lambda c: apply_each(c, store, writings, now=now)):
            raise Refusal(grpc.StatusCode.ABORTED, f"{doing}: {_MISMATCH}")

    def _known(self, store: str) -> str:
        if store not in self._stores:
            raise unknown_name("state store", store, self._stores, ending="is not found")
        return store


def _save(item: Any, now: float, store: str) -> Save:
    if not item.key:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "state key cannot be empty")
    _check_key(item.key)
    first_write = common_pb2.StateOptions.CONCURRENCY_FIRST_WRITE
    return Save(
        key=item.key,
        value=item.value,
        etag=item.etag.value,
        first_write=item.options.concurrency == first_write,
        expires_at=_expires_at(item.metadata.get(_TTL, ""), now, store),
    )


def _deletion(item: Any) -> Delete:
    _check_key(item.key)
    return Delete(key=item.key, etag=item.etag.value)


def _operation(operation: Any, now: float, store: str) -> Save | Delete:
    match operation.operationType:
        case "upsert":
            return _save(operation.request, now, store)
        case "delete":
            return _deletion(operation.request)
        case other:
            raise Refusal(grpc.StatusCode.UNIMPLEMENTED, f"operation type {other} not supported")


def _check_key(key: str) -> None:
    if "||" in key:
        raise Refusal(
            grpc.StatusCode.INVALID_ARGUMENT, f"input key/keyPrefix '{key}' can't contain '||'"
        )


def _expires_at(seconds: str, now: float, store: str) -> float | None:
    """Return when a value ends; 0 and -1 mean never."""
    if not seconds:
        return None
    try:
        number = int(seconds)
    except ValueError:
        number = -2
    if number < -1:
        raise Refusal(
            grpc.StatusCode.INTERNAL,
            f"failed saving state in state store {store}: error parsing TTL: incorrect value for "
            f"metadata '{_TTL}': {seconds!r} is no whole number from -1 on",
        )
    return now + number if number > 0 else None


def _metadata(stored: Stored) -> dict[str, str]:
    if stored.expires_at is None:
        return {}
    at = datetime.fromtimestamp(stored.expires_at, UTC)
    return {_TTL_EXPIRES: at.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _bulk_item(key: str, stored: Stored | None) -> Any:
    if stored is None:
        return state_pb2.BulkStateItem(key=key)
    return state_pb2.BulkStateItem(
        key=key, data=stored.value, etag=stored.etag, metadata=_metadata(stored)
    )
