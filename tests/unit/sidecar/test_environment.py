"""What tells a process about its sidecar, and when nothing does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from retunable.sidecar.environment import (
    NAMING,
    app_environment,
    sidecar_is_named,
    told_to_this_process,
)

TOLD = app_environment("demo", grpc_port=1, http_port=2, data_dir=Path("/data"))


@pytest.mark.parametrize("name", NAMING)
def test_any_of_daprs_variables_names_a_sidecar(name: str) -> None:
    assert sidecar_is_named({name: "1"})
    assert not sidecar_is_named({name: ""})


def test_an_app_id_alone_names_none() -> None:
    assert not sidecar_is_named({"APP_ID": "demo", "DAPR_APP_ID": "demo"})


def test_the_program_beside_it_gets_what_dapr_run_gives_and_the_store() -> None:
    assert TOLD == {
        "APP_ID": "demo",
        "DAPR_GRPC_PORT": "1",
        "DAPR_HTTP_PORT": "2",
        "RETUNABLE_STORE": "sqlite:///data/configuration.db",
    }


def test_the_process_is_told_for_the_block_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ID", "before")
    monkeypatch.delenv("DAPR_GRPC_PORT", raising=False)
    with told_to_this_process(TOLD):
        assert (os.environ["APP_ID"], os.environ["DAPR_GRPC_PORT"]) == ("demo", "1")
    assert (os.environ["APP_ID"], "DAPR_GRPC_PORT" in os.environ) == ("before", False)
