"""Where the sidecar is said to be, and what daprd's answers mean."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import grpc
import pytest

from retunable.errors import ConfigurationError
from retunable.live.dapr_store import DaprConfigurationStore, failure_kind
from retunable.live.sidecar import CHANNEL_OPTIONS, SidecarEndpoint, endpoint_from_environment
from retunable.live.store import FailureKind


@pytest.mark.parametrize(
    ("env", "target", "tls"),
    [
        ({}, "dns:127.0.0.1:50001", False),
        ({"DAPR_GRPC_PORT": "3501"}, "dns:127.0.0.1:3501", False),
        ({"DAPR_RUNTIME_HOST": "daprd", "DAPR_GRPC_PORT": "1"}, "dns:daprd:1", False),
        ({"DAPR_GRPC_ENDPOINT": "daprd:1", "DAPR_GRPC_PORT": "2"}, "dns:daprd:1", False),
        ({"DAPR_GRPC_ENDPOINT": "dns:daprd:443?tls=true"}, "dns:daprd:443", True),
        ({"DAPR_GRPC_ENDPOINT": "unix:///run/daprd.sock"}, "unix:///run/daprd.sock", False),
        ({"DAPR_GRPC_ENDPOINT": "", "DAPR_GRPC_PORT": ""}, "dns:127.0.0.1:50001", False),
    ],
)
def test_the_endpoint_is_read_as_the_sdk_reads_it(
    env: Mapping[str, str], target: str, tls: bool
) -> None:
    assert endpoint_from_environment(env) == SidecarEndpoint(target, tls)


def test_an_endpoint_that_is_none_says_how_to_write_one() -> None:
    with pytest.raises(ConfigurationError, match=r"DAPR_GRPC_ENDPOINT.*tls=true"):
        endpoint_from_environment({"DAPR_GRPC_ENDPOINT": "ftp://daprd:1"})


def test_the_token_goes_with_every_call_and_into_no_text() -> None:
    endpoint = endpoint_from_environment({"DAPR_API_TOKEN": "do-not-show-me"})
    assert endpoint.metadata == (("dapr-api-token", "do-not-show-me"),)
    assert "do-not-show-me" not in repr(endpoint)


def test_without_a_token_there_is_no_metadata() -> None:
    assert endpoint_from_environment({}).metadata == ()


def test_the_channel_settings_are_the_measured_ones() -> None:
    options = dict(CHANNEL_OPTIONS)
    assert options["grpc.keepalive_time_ms"] >= 8_000
    assert options["grpc.http2.ping_timeout_ms"] == 5_000
    assert options["grpc.http2.max_pings_without_data"] == 0
    assert options["grpc.max_reconnect_backoff_ms"] <= 1_000


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        ("FAILED_PRECONDITION", "configuration stores not configured", "COMPONENT_ABSENT"),
        ("INVALID_ARGUMENT", "configuration store x not found", "COMPONENT_ABSENT"),
        ("UNAVAILABLE", "Socket closed", "SIDECAR_UNREACHABLE"),
        ("UNAUTHENTICATED", "invalid api token", "SIDECAR_UNREACHABLE"),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", "DEADLINE"),
        ("RESOURCE_EXHAUSTED", "message larger than max", "POISONED"),
        ("INTERNAL", "string field contains invalid UTF-8", "POISONED"),
        ("INTERNAL", "failed to get [agent_role]: connection refused", "STORE_UNREACHABLE"),
        ("UNKNOWN", "whatever", "STORE_UNREACHABLE"),
    ],
)
def test_each_answer_of_daprd_has_its_meaning(code: str, details: str, kind: str) -> None:
    assert failure_kind(grpc.StatusCode[code], details) is FailureKind[kind]


async def test_an_empty_list_of_keys_is_never_asked_for() -> None:
    store = DaprConfigurationStore("runtime-config", endpoint=SidecarEndpoint("dns:127.0.0.1:1"))
    with pytest.raises(ValueError, match="whole store"):
        await store.get([])
    with pytest.raises(ValueError, match="whole store"):
        await store.subscribe([])


def test_the_live_room_alone_imports_neither_grpc_nor_dapr() -> None:
    program = "import sys, retunable.live; print(sorted({'grpc', 'dapr'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout.strip() == b"[]"
