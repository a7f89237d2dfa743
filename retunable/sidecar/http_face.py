"""The three HTTP answers that are asked for: healthy and metadata (Dapr's SDK, `retune doctor`), and
a secret (`retune`, which signs with the key of a running agent's secret store).

One request per connection and nothing else of HTTP: a web framework would double the start.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

from retunable.errors import ConfigurationError
from retunable.sidecar.api.token import HEADER
from retunable.sidecar.http_message import Request, Response, parse, problem
from retunable.sidecar.http_secrets import secret_answer
from retunable.sidecar.secrets import SecretStore

log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
REQUEST_SECONDS: Final = 5.0

# Whoever asks for health has no token, as with daprd.
_HEALTH: Final = ("/v1.0/healthz", "/v1.0/healthz/outbound")
_METADATA: Final = "/v1.0/metadata"
_SECRET: Final = re.compile("/v1.0/secrets/([^/]+)/([^/]+)")
_LOCAL: Final = ("127.0.0.1", "localhost", "")


class HttpFace:
    """Listens on 127.0.0.1."""

    def __init__(
        self,
        metadata: Callable[[], Mapping[str, Any]],
        *,
        secrets: Mapping[str, SecretStore],
        api_token: str | None,
    ) -> None:
        self._metadata = metadata
        self._secrets = secrets
        self._api_token = api_token
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> int:
        """Listen on a port, any free one for 0; returns which.

        Raises:
            ConfigurationError: something else listens on it.
        """
        try:
            self._server = await asyncio.start_server(self._serve, HOST, port)
        except OSError as error:
            raise ConfigurationError(
                f"HTTP port {port} of {HOST} is taken; name another with --http-port, or 0 for any"
            ) from error
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    def answer(self, request: Request) -> Response:
        """Decide what a request gets."""
        path = request.path.partition("?")[0]
        if path in _HEALTH:
            return Response(HTTPStatus.NO_CONTENT)
        if not self._admits(request.headers.get(HEADER, "")):
            return problem(HTTPStatus.UNAUTHORIZED, "ERR_UNAUTHENTICATED", "invalid api token")
        if path == _METADATA and request.method == "GET":
            return Response(HTTPStatus.OK, self._metadata())
        if request.method == "GET" and (named := _SECRET.fullmatch(path)):
            if not _is_local(request.headers.get("host", "")):
                return problem(HTTPStatus.FORBIDDEN, "ERR_PERMISSION_DENIED", "not by that name")
            return secret_answer(self._secrets, unquote(named[1]), unquote(named[2]))
        return problem(
            HTTPStatus.NOT_IMPLEMENTED,
            "ERR_NOT_SERVED",
            f"the embedded sidecar does not serve {request.method} {path} over HTTP; "
            "use gRPC, or Dapr for this: https://docs.dapr.io",
        )

    def _admits(self, token: str) -> bool:
        expected = self._api_token
        return expected is None or hmac.compare_digest(token.encode(), expected.encode())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answer(parse(head)).encode())
                await writer.drain()
        except (
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            OSError,
            ValueError,
        ) as error:
            log.debug("action=bad_request error=%r", error)  # OSError: also one that took too long
        finally:
            writer.close()


def _is_local(host: str) -> bool:
    """Tell whether this machine was asked by its own name, not by one that a web page made up."""
    return host.partition(":")[0] in _LOCAL
