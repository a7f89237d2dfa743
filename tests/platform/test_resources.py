"""Component files get new addresses and keep everything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dev.resources import Addresses, components, write_resources

FILE = """\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: {name}}}
spec:
  type: {type}
  version: v1
  ignoreErrors: true
  metadata:
  - {{name: {address}, value: "as shipped"}}
  - {{name: other, value: "kept"}}
---
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: {{name: untouched}}
"""

ADDRESSES = Addresses(
    configuration_redis="c:1",
    configuration_postgresql="host=c",
    state_redis="s:1",
    state_postgresql="host=s",
)


def written(tmp_path: Path, type_: str, address: str, addresses: Addresses) -> dict[str, Any]:
    source = tmp_path / "source"
    source.mkdir()
    (source / "one.yaml").write_text(FILE.format(name="one", type=type_, address=address))
    [component] = components(write_resources(source, tmp_path / "target", addresses=addresses))
    spec: dict[str, Any] = component["spec"]
    return spec


@pytest.mark.parametrize(
    ("type_", "name", "expected"),
    [
        ("configuration.redis", "redisHost", "c:1"),
        ("configuration.postgresql", "connectionString", "host=c"),
        ("state.redis", "redisHost", "s:1"),
        ("pubsub.redis", "redisHost", "s:1"),
        ("state.postgresql", "connectionString", "host=s"),
    ],
)
def test_the_address_is_filled_in(tmp_path: Path, type_: str, name: str, expected: str) -> None:
    spec = written(tmp_path, type_, name, ADDRESSES)
    values = {item["name"]: item["value"] for item in spec["metadata"]}
    assert values == {name: expected, "other": "kept"}
    assert spec["ignoreErrors"] is True


def test_an_address_that_is_not_given_stays(tmp_path: Path) -> None:
    spec = written(tmp_path, "state.redis", "redisHost", Addresses())
    assert {"name": "redisHost", "value": "as shipped"} in spec["metadata"]


def test_state_can_move_to_sqlite(tmp_path: Path) -> None:
    addresses = Addresses(state_sqlite=tmp_path / "state.db")
    spec = written(tmp_path, "state.redis", "redisHost", addresses)
    assert spec["type"] == "state.sqlite"
    assert {"name": "actorStateStore", "value": "true"} in spec["metadata"]


def test_daprd_never_meets_a_file_half_written(tmp_path: Path) -> None:
    written(tmp_path, "state.redis", "redisHost", ADDRESSES)
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["one.yaml"]


def test_a_folder_without_component_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no Dapr component files"):
        write_resources(tmp_path, tmp_path / "target", addresses=ADDRESSES)
