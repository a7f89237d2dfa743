"""What the HTTP face answers, and what it makes of bytes."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from retunable.sidecar.http_face import HttpFace, Request, parse


def ask(path: str, *, method: str = "GET", given: str = "", token: str | None = None) -> HTTPStatus:
    face = HttpFace(lambda: {"id": "shop"}, api_token=token)
    return face.answer(Request(method, path, {"dapr-api-token": given})).status


@pytest.mark.parametrize("path", ["/v1.0/healthz", "/v1.0/healthz/outbound"])
def test_health_needs_no_token(path: str) -> None:
    assert ask(path, token="s3cret") == HTTPStatus.NO_CONTENT


def test_metadata_needs_the_token_where_one_is_set() -> None:
    assert ask("/v1.0/metadata") == HTTPStatus.OK
    assert ask("/v1.0/metadata", token="s3cret") == HTTPStatus.UNAUTHORIZED
    assert ask("/v1.0/metadata", token="s3cret", given="s3cret") == HTTPStatus.OK


def test_whatever_else_dapr_has_is_refused_by_name() -> None:
    face = HttpFace(dict, api_token=None)
    response = face.answer(Request("POST", "/v1.0/publish/pubsub/t", {}))
    assert response.status == HTTPStatus.NOT_IMPLEMENTED
    assert "POST /v1.0/publish/pubsub/t" in response.body["message"]


def test_a_request_is_read() -> None:
    request = parse(b"GET /v1.0/metadata HTTP/1.1\r\nHost: x\r\nDapr-Api-Token: a:b\r\n\r\n")
    assert request == Request("GET", "/v1.0/metadata", {"host": "x", "dapr-api-token": "a:b"})


@pytest.mark.parametrize("head", [b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\r\n\r\n"])
def test_what_is_no_http_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the connection is closed, whatever it says
        parse(head)
