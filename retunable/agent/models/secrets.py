"""Where a provider's key comes from: an environment variable or a Dapr secret store.

Only names are kept here, never a value; a key is read when a provider needs it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final

from retunable.errors import ConfigurationError, Unavailable

CALL_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Env:
    """An environment variable of this process that holds a key."""

    name: str

    def __str__(self) -> str:
        return f"the environment variable {self.name}"


@dataclass(frozen=True, slots=True)
class Secret:
    """A key in a Dapr secret store, named ``store/key``."""

    name: str

    def __post_init__(self) -> None:
        store, _, key = self.name.partition("/")
        if not store or not key:
            raise ConfigurationError(
                f"Secret({self.name!r}) must name a store and a key, like 'secretstore/openai-key'"
            )

    def __str__(self) -> str:
        return f"the secret {self.name}"


KeySource = Env | Secret


async def read_key(source: KeySource) -> str:
    """Return the key that a source names.

    Raises:
        ConfigurationError: there is no such variable, store or secret.
        Unavailable: the sidecar that would know the secret is away.
    """
    if isinstance(source, Env):
        value = os.environ.get(source.name, "").strip()
    else:
        value = (await _read_secret(source)).strip()
    if not value:
        raise ConfigurationError(f"{source} is empty or not set; it must hold the provider's key")
    return value


async def _read_secret(source: Secret) -> str:
    import grpc
    from dapr.proto.runtime.v1 import dapr_pb2_grpc, secret_pb2

    from retunable.live.sidecar import channel, endpoint_from_environment

    store, _, key = source.name.partition("/")
    endpoint = endpoint_from_environment()
    generated: Any = dapr_pb2_grpc.DaprStub  # without annotations
    async with channel(endpoint) as opened:
        request = secret_pb2.GetSecretRequest(store_name=store, key=key)
        try:
            reply = await generated(opened).GetSecret(
                request, timeout=CALL_SECONDS, metadata=endpoint.metadata
            )
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise Unavailable(
                    f"{source} cannot be read: the Dapr sidecar does not answer", part="sidecar"
                ) from error
            raise ConfigurationError(
                f"{source} cannot be read: {error.details()}; check the secret store component "
                f"{store!r} and its key {key!r}"
            ) from error
    # A store answers with the key asked for; some answer with every field of one secret.
    values: dict[str, str] = dict(reply.data)
    return values.get(key) or (next(iter(values.values())) if len(values) == 1 else "")
