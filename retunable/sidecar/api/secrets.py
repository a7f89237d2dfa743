"""Dapr's secrets API on the local secret stores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from dapr.proto.runtime.v1 import secret_pb2

from retunable.sidecar.api.refusal import Context, Refusal, Rpc, answering
from retunable.sidecar.secrets import SecretStore


class SecretsApi:
    """The secret stores that the component files name."""

    def __init__(self, stores: Mapping[str, SecretStore]) -> None:
        self._stores = stores

    @property
    def rpcs(self) -> Mapping[str, Rpc]:
        """The RPCs of Dapr that this serves."""
        return {
            "GetSecret": answering(self._get),
            "GetBulkSecret": answering(self._get_bulk),
        }

    async def _get(self, request: Any, _: Context) -> Any:
        store, key = request.store_name, request.key
        secret = self._known(store).get(key)
        if secret is None:
            raise Refusal(
                grpc.StatusCode.INTERNAL,
                f"failed getting secret with key {key} from secret store {store}: "
                f"secret {key} not found",
            )
        return secret_pb2.GetSecretResponse(data=secret)

    async def _get_bulk(self, request: Any, _: Context) -> Any:
        secrets = self._known(request.store_name).get_all()
        return secret_pb2.GetBulkSecretResponse(
            data={name: secret_pb2.SecretResponse(secrets=s) for name, s in secrets.items()}
        )

    def _known(self, name: str) -> SecretStore:
        if not self._stores:
            raise Refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                "secret store is not configured: put a secretstores.local.file or "
                "secretstores.local.env component into --resources-path",
            )
        if name not in self._stores:
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"failed finding secret store with key {name} "
                f"(there are: {', '.join(self._stores)})",
            )
        return self._stores[name]
