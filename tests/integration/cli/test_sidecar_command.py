"""`retune sidecar`: an embedded sidecar in the foreground, for a program that is not ours."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dapr.clients import DaprClient

COMMAND = "import sys; from retunable.cli import main; sys.exit(main())"
END_SECONDS = 20

pytestmark = pytest.mark.embedded


def started(folder: Path) -> subprocess.Popen[str]:
    words = ("sidecar", "--app-id", "shop", "--grpc-port", "0", "--http-port", "0")
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    said: dict[str, Any] = json.loads(process.stdout.readline())
    return said


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with started(tmp_path) as running:
        yield running
        running.terminate()
        running.communicate(timeout=END_SECONDS)


def test_a_program_on_the_sdk_can_use_it(
    sidecar: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = first_line(sidecar)
    monkeypatch.setenv("DAPR_HTTP_PORT", str(said["http_port"]))
    with DaprClient(f"127.0.0.1:{said['grpc_port']}") as client:
        client.save_state("statestore", "key", "value")
        assert client.get_state("statestore", "key").data == b"value"


def test_ctrl_c_ends_it(sidecar: subprocess.Popen[str]) -> None:
    first_line(sidecar)
    sidecar.send_signal(signal.SIGINT)
    assert sidecar.wait(END_SECONDS) == 0


def test_a_second_one_for_the_same_app_is_told_of_the_first(
    sidecar: subprocess.Popen[str], tmp_path: Path
) -> None:
    first = first_line(sidecar)
    with started(tmp_path) as second:
        said, words = second.communicate(timeout=END_SECONDS)
    assert second.returncode == 1
    assert f"gRPC port {first['grpc_port']}" in json.loads(said)["error"]
    assert "Traceback" not in words
