"""A signing key that only the sidecar of a running agent gives: nothing of this folder names it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.dapr import ControlPlane, Sidecar
from dev.embedded import EmbeddedSidecar
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
def components(tmp_path: Path) -> Path:
    """A folder, elsewhere, with a secret store in it."""
    (elsewhere := tmp_path / "elsewhere").mkdir()
    secrets = elsewhere / "secrets.json"
    secrets.write_text(json.dumps({"release": PEM}))
    write_atomically(elsewhere / "vault.yaml", COMPONENT % json.dumps(str(secrets)))
    return elsewhere


@pytest.fixture(
    params=["daprd", pytest.param("embedded", marks=pytest.mark.embedded)],
)
def sidecar(
    request: pytest.FixtureRequest, tmp_path: Path, components: Path
) -> Iterator[Sidecar | EmbeddedSidecar]:
    """A sidecar that has the secret store, on a port that nothing here names."""
    if request.param == "embedded":
        embedded = EmbeddedSidecar(tmp_path / "sidecar", app_id="agent")
        embedded.resources_path = components
        with embedded:
            yield embedded
        return
    request.getfixturevalue("dapr_binaries")
    with (
        ControlPlane(tmp_path / "plane") as plane,
        Sidecar(
            tmp_path / "daprd", app_id="agent", resources_path=components, control_plane=plane
        ) as daprd,
    ):
        yield daprd


@pytest.fixture
def _agent(retune: Retune, sidecar: Sidecar | EmbeddedSidecar) -> Iterator[None]:
    """The record that an agent beside that sidecar leaves in this folder while it runs."""
    del retune  # it stands in the folder
    record = AgentRecord.of_this_process(
        declaration(), url="http://127.0.0.1:1", environment={**os.environ, **sidecar.environment}
    )
    with announced(record):
        yield


@pytest.mark.usefixtures("_agent")
def test_the_key_comes_from_the_running_agents_sidecar(retune: Retune) -> None:
    told = retune("key", "vault/release", "--json")

    assert told.code == 0, told.err
    assert told.json == {"key": SigningKey.from_pem(PEM).id}


@pytest.mark.usefixtures("_agent")
def test_what_that_sidecar_does_not_have_is_said(
    retune: Retune, sidecar: Sidecar | EmbeddedSidecar
) -> None:
    for name in ("vault/another", "safe/release"):
        told = retune("key", name, "--json")
        assert told.code != 0
        assert name in told.out
    sidecar.stop()
    away = retune("key", "vault/release", "--json")
    assert f"127.0.0.1:{sidecar.http_port}" in away.out


def test_without_a_running_agent_the_folder_is_blamed(retune: Retune) -> None:
    told = retune("key", "vault/release", "--json")

    assert told.code != 0
    assert "vault" in told.out
