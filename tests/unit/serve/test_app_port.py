"""Where the callback server listens."""

from __future__ import annotations

import pytest

from retunable.errors import ConfigurationError
from retunable.serve.app_port import app_address
from retunable.serve.grpc_guard import check_exposure
from retunable.serve.listening import Address

DAPR_RUN = {"APP_PORT": "50051", "APP_PROTOCOL": "grpc"}


def test_what_the_program_says_wins() -> None:
    assert app_address("127.0.0.1:7", DAPR_RUN) == Address("127.0.0.1", 7)


@pytest.mark.parametrize(
    ("env", "address"),
    [
        (DAPR_RUN, Address("127.0.0.1", 50051)),
        ({"APP_PORT": "8080", "APP_PROTOCOL": "http"}, None),
        ({"APP_PROTOCOL": "grpc"}, None),
        ({"APP_PORT": "8080"}, None),
        ({}, None),
    ],
)
def test_else_the_app_port_of_dapr_run_where_it_is_for_grpc(
    env: dict[str, str], address: Address | None
) -> None:
    assert app_address(None, env) == address


def test_an_app_protocol_with_tls_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigurationError, match="start dapr with grpc"):
        app_address(None, {"APP_PORT": "1", "APP_PROTOCOL": "grpcs"})


def test_serving_others_needs_a_token() -> None:
    everywhere = Address("0.0.0.0", 1)  # noqa: S104 - not bound
    with pytest.raises(ConfigurationError, match="APP_API_TOKEN"):
        check_exposure(everywhere, None)
    check_exposure(everywhere, "s3cret")
    check_exposure(Address("::1", 1), None)
