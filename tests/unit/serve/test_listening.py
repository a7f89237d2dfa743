"""Addresses to serve on, as a person writes them."""

from __future__ import annotations

import pytest

from retunable.errors import ConfigurationError
from retunable.serve.listening import Address

EVERYWHERE = "0.0.0.0"  # noqa: S104 - read, not bound


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8765", Address("127.0.0.1", 8765)),
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("[::1]:80", Address("::1", 80)),
        (f"{EVERYWHERE}:50051", Address(EVERYWHERE, 50051)),
        ("50051", Address("127.0.0.1", 50051)),
    ],
)
@pytest.mark.parametrize("default_port", [None, 8765])
def test_an_address_is_host_and_port_or_a_port_of_this_machine(
    text: str, address: Address, default_port: int | None
) -> None:
    assert Address.parse(text, default_port=default_port) == address


@pytest.mark.parametrize(("text", "host"), [("localhost", "localhost"), ("[::1]", "::1")])
def test_a_host_alone_is_enough_where_a_port_is_known(text: str, host: str) -> None:
    assert Address.parse(text, default_port=8765) == Address(host, 8765)
    with pytest.raises(ConfigurationError, match="is no address"):
        Address.parse(text)


@pytest.mark.parametrize(
    "text", ["", ":", ":80", "host:", "127.0.0.1:http", "127.0.0.1:70000", "70000"]
)
@pytest.mark.parametrize("default_port", [None, 8765])
def test_what_is_no_address_is_refused(text: str, default_port: int | None) -> None:
    with pytest.raises(ConfigurationError, match="is no address"):
        Address.parse(text, default_port=default_port)


def test_each_protocol_has_its_way_to_write_an_address() -> None:
    assert (Address("::1", 80).target, Address("::1", 80).url) == ("[::1]:80", "http://[::1]:80")
    everywhere = Address(EVERYWHERE, 80)
    assert (everywhere.target, everywhere.url) == ("0.0.0.0:80", "http://127.0.0.1:80")
