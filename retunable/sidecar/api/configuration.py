"""Dapr's configuration API on the configuration file."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final

import grpc
from dapr.proto.common.v1 import common_pb2
from dapr.proto.runtime.v1 import configuration_pb2

from retunable.config.items import Item, Unreadable
from retunable.sidecar.api.refusal import (
    Context,
    Refusal,
    Rpc,
    answering,
    send,
    streaming,
    unknown_name,
)
from retunable.sidecar.change_watch import Changes, ChangeWatch
from retunable.sidecar.configuration import changed_items, read_items
from retunable.sidecar.database import Database

# As daprd says it of a value that is no text; an agent knows the words.
_NO_TEXT: Final = "grpc: error while marshaling: string field contains invalid UTF-8"


class ConfigurationApi:
    """Reads and watches; writing is for `retune set` and whoever has the file."""

    def __init__(self, database: Database, watch: ChangeWatch, *, stores: Collection[str]) -> None:
        self._database = database
        self._watch = watch
        self._stores = stores
        self._subscriptions: dict[str, Changes] = {}

    @property
    def rpcs(self) -> Mapping[str, Rpc]:
        """The RPCs of Dapr that this serves, under every name that they have."""
        get, subscribe = answering(self._get), streaming(self._subscribe)
        unsubscribe = answering(self._unsubscribe)
        return {
            "GetConfiguration": get,
            "GetConfigurationAlpha1": get,
            "SubscribeConfiguration": subscribe,
            "SubscribeConfigurationAlpha1": subscribe,
            "UnsubscribeConfiguration": unsubscribe,
            "UnsubscribeConfigurationAlpha1": unsubscribe,
        }

    def end_subscriptions(self) -> None:
        """End every stream, in order: the sidecar is stopping."""
        for subscription_id in list(self._subscriptions):
            self._end(subscription_id)

    async def _get(self, request: Any, _: Context) -> Any:
        store, keys = self._known(request.store_name), list(request.keys)
        items = await self._database.read(lambda c: read_items(c, store, keys))
        return configuration_pb2.GetConfigurationResponse(items=_messages(items))

    async def _subscribe(self, request: Any, context: Context) -> None:
        """Send the id alone, then the items that changed; a deleted one is empty."""
        store, keys = self._known(request.store_name), list(request.keys)
        subscription_id = str(uuid.uuid4())
        with self._watch.listening() as changes:
            seen = await self._database.read(lambda c: read_items(c, store, keys))
            self._subscriptions[subscription_id] = changes
            try:
                opened = configuration_pb2.SubscribeConfigurationResponse(id=subscription_id)
                await send(context, opened)
                while await self._changed(subscription_id, changes):
                    stands = await self._database.read(lambda c: read_items(c, store, keys))
                    if changed := changed_items(seen, stands):
                        await send(context, _update(subscription_id, changed))
                    seen = stands
            finally:
                self._subscriptions.pop(subscription_id, None)

    async def _changed(self, subscription_id: str, changes: Changes) -> bool:
        """Wait for a change; False where the subscription was ended instead."""
        await changes.wait()
        return subscription_id in self._subscriptions

    async def _unsubscribe(self, request: Any, _: Context) -> Any:
        if self._end(request.id):
            return configuration_pb2.UnsubscribeConfigurationResponse(ok=True)
        return configuration_pb2.UnsubscribeConfigurationResponse(
            ok=False,
            message=f"failed to unsubscribe to configuration request {request.id}: "
            "subscription does not exist",
        )

    def _end(self, subscription_id: str) -> bool:
        changes = self._subscriptions.pop(subscription_id, None)
        if changes is not None:
            changes.note()
        return changes is not None

    def _known(self, store: str) -> str:
        if store not in self._stores:
            raise unknown_name("configuration store", store, self._stores, ending="not found")
        return store


def _update(
    subscription_id: str, changed: Mapping[str, Item | Unreadable | None]
) -> configuration_pb2.SubscribeConfigurationResponse:
    items = _messages({key: item or Item("") for key, item in changed.items()})
    return configuration_pb2.SubscribeConfigurationResponse(id=subscription_id, items=items)


def _messages(items: Mapping[str, Item | Unreadable]) -> dict[str, Any]:
    return {key: _message(item) for key, item in items.items()}


def _message(item: Item | Unreadable) -> Any:
    if isinstance(item, Unreadable):
        raise Refusal(grpc.StatusCode.INTERNAL, _NO_TEXT)
    return common_pb2.ConfigurationItem(value=item.value, version=item.version)
