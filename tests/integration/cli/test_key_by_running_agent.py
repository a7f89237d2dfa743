"""A signing key that only the sidecar of a running agent gives: nothing of this folder names it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.dapr import ControlPlane, DaprBinaries, Sidecar
from dev.resources import write_atomically
from retunable.release.signing import SigningKey
from retunable.serve.address import AgentRecord, announced
from tests.integration.cli.conftest import Retune
from tests.unit.config.signers import new_pem
from tests.unit.live.scenes import declaration

PEM = new_pem()
COMPONENT = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: vault}
spec:
  type: secretstores.local.file
  version: v1
  metadata: [{name: secretsFile, value: %s}]
"""


@pytest.fixture
def daprd(tmp_path: Path, dapr_binaries: DaprBinaries) -> Iterator[Sidecar]:
    """A sidecar whose components are elsewhere."""
    del dapr_binaries
    (elsewhere := tmp_path / "elsewhere").mkdir()
    secrets = elsewhere / "secrets.json"
    secrets.write_text(json.dumps({"release": PEM}))
    write_atomically(elsewhere / "vault.yaml", COMPONENT % json.dumps(str(secrets)))
    with ControlPlane(tmp_path / "plane") as plane:
        sidecar = Sidecar(
            tmp_path / "daprd", app_id="agent", resources_path=elsewhere, control_plane=plane
        )
        with sidecar:
            yield sidecar


@pytest.fixture
def _agent(retune: Retune, daprd: Sidecar) -> Iterator[None]:
    """The record that an agent beside that sidecar leaves in this folder while it runs."""
    del retune  # it stands in the folder
    record = AgentRecord.of_this_process(
        declaration(), url="http://127.0.0.1:1", environment={**os.environ, **daprd.environment}
    )
    with announced(record):
        yield


@pytest.mark.usefixtures("_agent")
def test_the_key_comes_from_the_running_agents_sidecar(retune: Retune) -> None:
    told = retune("key", "vault/release", "--json")

    assert told.code == 0, told.err
    assert told.json == {"key": SigningKey.from_pem(PEM).id}


@pytest.mark.usefixtures("_agent")
def test_what_that_sidecar_does_not_have_is_said(retune: Retune, daprd: Sidecar) -> None:
    for name in ("vault/another", "safe/release"):
        told = retune("key", name, "--json")
        assert told.code != 0
        assert name in told.out
    daprd.stop()
    assert f"127.0.0.1:{daprd.http_port}" in retune("key", "vault/release", "--json").out


def test_without_a_running_agent_the_folder_is_blamed(retune: Retune) -> None:
    told = retune("key", "vault/release", "--json")

    assert told.code != 0
    assert "vault" in told.out
