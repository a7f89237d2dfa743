"""The state store behind the sidecar: its actor state store, on the agent's own channel.

Every call has a deadline. Who won an insert is learnt by reading, never from an error code:
Redis answers INTERNAL "failed to set key", PostgreSQL INTERNAL "no item was updated", SQLite
ABORTED.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import grpc
from dapr.proto.common.v1 import common_pb2

# state_pb2 has the messages of the state API since 1.18; older modules re-export them.
from dapr.proto.runtime.v1 import state_pb2

from retunable.agent.sidecar_link import SidecarLink, sidecar_away
from retunable.agent.state.store import Inserted, Stored, TooLarge
from retunable.errors import Unavailable

CALL_SECONDS: Final = 2.0
PARALLELISM: Final = 20

_FIRST_WRITE: Final = common_pb2.StateOptions(
    concurrency=common_pb2.StateOptions.CONCURRENCY_FIRST_WRITE
)


class DaprState:
    """A ``StateStore`` behind the sidecar."""

    def __init__(self, link: SidecarLink) -> None:
        self._link = link
        self._component: str | None = None

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, Stored]:
        """Return what stands under these keys; absent ones are left out."""
        if len(keys) == 1:
            return await self._get_one(keys[0])
        if not keys:
            return {}
        request = state_pb2.GetBulkStateRequest(
            store_name=await self._store(), keys=keys, parallelism=PARALLELISM
        )
        reply = await self._call(self._link.dapr.GetBulkState, request)
        for item in reply.items:
            if item.error:
                raise _store_away(item.error)
        return {i.key: Stored(_decode(i.data), i.etag) for i in reply.items if i.data}

    async def insert(self, key: str, value: Any) -> Inserted:
        """Write a value if the key is absent; whatever goes wrong, read who won."""
        item = common_pb2.StateItem(key=key, value=_encode(value), options=_FIRST_WRITE)
        try:
            await self._save([item])
        except Unavailable as error:
            stands = (await self.get_many([key])).get(key)
            if stands is None:
                raise error
            return Inserted(stands.value == value, stands.value)
        return Inserted(True, value)

    async def save(self, key: str, value: Any, *, etag: str) -> bool:
        """Replace one writing; whatever goes wrong, read what stands."""
        item = common_pb2.StateItem(
            key=key,
            value=_encode(value),
            etag=common_pb2.Etag(value=etag),
            options=_FIRST_WRITE,
        )
        try:
            await self._save([item])
        except Unavailable as error:
            stands = (await self.get_many([key])).get(key)
            if stands is not None and stands.etag == etag:
                raise error
            return stands is not None and stands.value == value
        return True

    async def put(self, values: Mapping[str, Any]) -> None:
        """Write values whose keys are derived from them."""
        if values:
            items = [
                common_pb2.StateItem(key=key, value=_encode(value)) for key, value in values.items()
            ]
            await self._save(items)

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete keys, absent ones too."""
        if keys:
            states = [common_pb2.StateItem(key=key) for key in keys]
            request = state_pb2.DeleteBulkStateRequest(
                store_name=await self._store(), states=states
            )
            await self._call(self._link.dapr.DeleteBulkState, request)

    async def _get_one(self, key: str) -> Mapping[str, Stored]:
        request = state_pb2.GetStateRequest(store_name=await self._store(), key=key)
        reply = await self._call(self._link.dapr.GetState, request)
        return {key: Stored(_decode(reply.data), reply.etag)} if reply.data else {}

    async def _save(self, items: Sequence[Any]) -> None:
        request = state_pb2.SaveStateRequest(store_name=await self._store(), states=items)
        await self._call(self._link.dapr.SaveState, request)

    async def _store(self) -> str:
        if self._component is None:
            parts = await self._link.parts()
            if parts.state_store is None:
                raise _store_away("the sidecar has no actor state store")
            self._component = parts.state_store
        return self._component

    async def _call(self, method: Any, request: Any) -> Any:
        try:
            return await method(request, timeout=CALL_SECONDS, metadata=self._link.token)
        except grpc.aio.AioRpcError as error:
            match error.code():
                case grpc.StatusCode.UNAVAILABLE:
                    raise sidecar_away(error) from error
                case grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise TooLarge(error.details() or "larger than the sidecar takes") from error
                case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.FAILED_PRECONDITION:
                    self._component = None  # renamed or reloaded: ask again next time
            raise _store_away(error.details() or error.code().name.lower()) from error


def _store_away(reason: str) -> Unavailable:
    return Unavailable(f"the state store does not answer ({reason})", part="state store")


def _encode(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can write
        return json.dumps(value, separators=(",", ":")).encode()


def _decode(data: bytes) -> Any:
    return json.loads(data)
