"""Where the callback server listens."""

from __future__ import annotations

import pytest

from retunable.errors import ConfigurationError
from retunable.serve.app_port import AppAddress, app_address

DAPR_RUN = {"APP_PORT": "50051", "APP_PROTOCOL": "grpc"}


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("50051", "127.0.0.1", 50051),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::1]:50051", "::1", 50051),
        ("0.0.0.0:50051", "0.0.0.0", 50051),  # noqa: S104 - read, not bound
    ],
)
def test_an_address_is_host_and_port_or_a_port_of_this_machine(
    text: str, host: str, port: int
) -> None:
    assert AppAddress.parse(text) == AppAddress(host, port)


@pytest.mark.parametrize("text", ["", ":", ":80", "host:", "host", "127.0.0.1:70000", "x:y"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no address"):
        AppAddress.parse(text)


def test_what_the_program_says_wins() -> None:
    assert app_address("127.0.0.1:7", DAPR_RUN) == AppAddress("127.0.0.1", 7)


@pytest.mark.parametrize(
    ("env", "address"),
    [
        (DAPR_RUN, AppAddress("127.0.0.1", 50051)),
        ({"APP_PORT": "8080", "APP_PROTOCOL": "http"}, None),
        ({"APP_PROTOCOL": "grpc"}, None),
        ({"APP_PORT": "8080"}, None),
        ({}, None),
    ],
)
def test_else_the_app_port_of_dapr_run_where_it_is_for_grpc(
    env: dict[str, str], address: AppAddress | None
) -> None:
    assert app_address(None, env) == address


def test_an_app_protocol_with_tls_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigurationError, match="start dapr with grpc"):
        app_address(None, {"APP_PORT": "1", "APP_PROTOCOL": "grpcs"})


def test_serving_others_needs_a_token() -> None:
    everywhere = AppAddress("0.0.0.0", 1)  # noqa: S104 - not bound
    with pytest.raises(ConfigurationError, match="APP_API_TOKEN"):
        everywhere.check_exposure(has_token=False, variable="APP_API_TOKEN")
    everywhere.check_exposure(has_token=True, variable="APP_API_TOKEN")
    AppAddress("::1", 1).check_exposure(has_token=False, variable="APP_API_TOKEN")
