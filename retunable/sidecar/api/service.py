"""Dapr's gRPC service: each of its RPCs is served by a room or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import grpc
import grpc.aio
from dapr.proto.runtime.v1 import dapr_pb2, dapr_pb2_grpc

from retunable.sidecar.api.refusal import Context, Rpc

_SERVICE: Final[Any] = dapr_pb2.DESCRIPTOR.services_by_name["Dapr"]

RPCS: Final = tuple(method.name for method in _SERVICE.methods)
"""Every RPC of the service, as the installed SDK knows it."""

USE_DAPR: Final = (
    "the embedded sidecar does not serve {rpc}; use Dapr for this: https://docs.dapr.io"
)


def add_dapr_service(server: grpc.aio.Server, served: Mapping[str, Rpc]) -> None:
    """Have a server answer every RPC of Dapr.

    Raises:
        ValueError: ``served`` names an RPC that Dapr does not have.
    """
    if unknown := served.keys() - set(RPCS):
        raise ValueError(f"Dapr has no RPC {', '.join(sorted(unknown))}")
    servicer = _Servicer()
    for rpc in RPCS:
        setattr(servicer, rpc, served.get(rpc) or _refused(rpc))
    add: Any = dapr_pb2_grpc.add_DaprServicer_to_server  # generated, without types
    add(servicer, server)


class _Servicer:
    """Has one attribute for each RPC, which is all that the generated code asks for."""


def _refused(rpc: str) -> Rpc:
    async def refused(_request: Any, context: Context) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, USE_DAPR.format(rpc=rpc))

    return refused
