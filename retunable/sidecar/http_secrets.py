"""A secret over HTTP: which answer daprd gives, in its codes and words."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from retunable.errors import ConfigurationError
from retunable.sidecar.http_message import Response, problem
from retunable.sidecar.secrets import SecretStore

ALL: Final = "bulk"
"""The key that stands for every secret of a store."""


def secret_answer(stores: Mapping[str, SecretStore], name: str, key: str) -> Response:
    """Answer for one secret of a store, or for all of them."""
    if not stores:
        return problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "ERR_SECRET_STORES_NOT_CONFIGURED",
            "secret store is not configured",
        )
    if name not in stores:
        return problem(
            HTTPStatus.UNAUTHORIZED,
            "ERR_SECRET_STORE_NOT_FOUND",
            f"failed finding secret store with key {name}",
        )
    try:
        if key == ALL:
            return Response(HTTPStatus.OK, stores[name].get_all())
        secret = stores[name].get(key)
    except ConfigurationError as error:
        return _not_got(name, key, str(error))
    if secret is None:
        return _not_got(name, key, f"secret {key} not found")
    return Response(HTTPStatus.OK, secret)


def _not_got(name: str, key: str, reason: str) -> Response:
    message = f"failed getting secret with key {key} from secret store {name}: {reason}"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "ERR_SECRET_GET", message)
