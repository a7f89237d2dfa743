"""Who may talk to the served app: whoever knows the token, else only this machine's programs.

Pure ASGI, so that it stands before everything else, 404s and /openapi.json too.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from retunable.errors import ConfigurationError
from retunable.serve.listening import Address
from retunable.serve.local_names import is_local_name
from retunable.serve.problem import problem
from retunable.serve.problems import ProblemResponse

TOKEN_VARIABLE: Final = "RETUNABLE_HTTP_TOKEN"  # noqa: S105 - its name, not its value
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})


class Gate:
    """Middleware: the bearer token where there is one, else only requests to a local name.

    Without the second rule any web page could read a loopback server: it points a name of its
    own at 127.0.0.1 and the browser takes it for the same site (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            refusal = self._refusal(Headers(scope=scope))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> ProblemResponse | None:
        if self._token is None:
            if is_local_name(_host_of(headers.get("host", ""))):
                return None
            return _problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"without {TOKEN_VARIABLE} only requests to localhost or 127.0.0.1 are answered",
            )
        scheme, _, given = headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(given.strip().encode(), self._token.encode())
        if scheme.lower() == "bearer" and known:
            return None
        return _problem(
            HTTPStatus.UNAUTHORIZED,
            f"send Authorization: Bearer with the agent's {TOKEN_VARIABLE}",
            {"WWW-Authenticate": "Bearer"},
        )


def check_exposure(address: Address, token: str | None) -> None:
    """Raise ConfigurationError where others could reach a server that asks for no token."""
    if token is None and not address.is_local:
        raise ConfigurationError(
            f"serving on {address.host} lets other machines run the agent: set {TOKEN_VARIABLE} to a "
            "secret that they must send as a bearer token, or serve on 127.0.0.1"
        )


def _host_of(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.rpartition(":")[0] if ":" in header else header


def _problem(
    status: HTTPStatus, detail: str, headers: dict[str, str] | None = None
) -> ProblemResponse:
    return ProblemResponse(problem(status, detail), headers)
