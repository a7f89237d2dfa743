"""What the HTTP face answers, and what it makes of bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pytest

from retunable.sidecar.http_face import HttpFace
from retunable.sidecar.http_message import Request, parse


@dataclass(frozen=True)
class Drawer:
    """A secret store that holds these and nothing else."""

    holds: Mapping[str, Mapping[str, str]]
    type: str = "secretstores.test"

    def get(self, name: str) -> Mapping[str, str] | None:
        return self.holds.get(name)

    def get_all(self) -> Mapping[str, Mapping[str, str]]:
        return self.holds


SECRETS = {"vault": Drawer({"a/b": {"a/b": "s"}})}


def response(
    path: str, *, method: str = "GET", given: str = "", token: str | None = None, host: str = ""
) -> Any:
    face = HttpFace(lambda: {"id": "shop"}, secrets=SECRETS, api_token=token)
    return face.answer(Request(method, path, {"dapr-api-token": given, "host": host}))


def ask(path: str, **more: Any) -> HTTPStatus:
    status: HTTPStatus = response(path, **more).status
    return status


@pytest.mark.parametrize("path", ["/v1.0/healthz", "/v1.0/healthz/outbound"])
def test_health_needs_no_token(path: str) -> None:
    assert ask(path, token="s3cret") == HTTPStatus.NO_CONTENT


def test_metadata_needs_the_token_where_one_is_set() -> None:
    assert ask("/v1.0/metadata") == HTTPStatus.OK
    assert ask("/v1.0/metadata", token="s3cret") == HTTPStatus.UNAUTHORIZED
    assert ask("/v1.0/metadata", token="s3cret", given="s3cret") == HTTPStatus.OK


def test_whatever_else_dapr_has_is_refused_by_name() -> None:
    refused = response("/v1.0/publish/pubsub/t", method="POST")
    assert refused.status == HTTPStatus.NOT_IMPLEMENTED
    assert "POST /v1.0/publish/pubsub/t" in refused.body["message"]


def test_a_secret_is_given_by_its_name_as_a_url_has_it() -> None:
    assert response("/v1.0/secrets/vault/a%2Fb?metadata.x=y").body == {"a/b": "s"}


def test_a_secret_needs_the_token_where_one_is_set() -> None:
    assert ask("/v1.0/secrets/vault/a%2Fb", token="s3cret") == HTTPStatus.UNAUTHORIZED
    assert ask("/v1.0/secrets/vault/a%2Fb", token="s3cret", given="s3cret") == HTTPStatus.OK


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:3500", HTTPStatus.OK),
        ("localhost", HTTPStatus.OK),
        ("example.com:3500", HTTPStatus.FORBIDDEN),
    ],
)
def test_a_web_page_with_a_name_that_leads_here_gets_no_secret(
    host: str, status: HTTPStatus
) -> None:
    assert ask("/v1.0/secrets/vault/a%2Fb", host=host) == status


def test_a_request_is_read() -> None:
    request = parse(b"GET /v1.0/metadata HTTP/1.1\r\nHost: x\r\nDapr-Api-Token: a:b\r\n\r\n")
    assert request == Request("GET", "/v1.0/metadata", {"host": "x", "dapr-api-token": "a:b"})


@pytest.mark.parametrize("head", [b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\r\n\r\n"])
def test_what_is_no_http_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the connection is closed, whatever it says
        parse(head)
