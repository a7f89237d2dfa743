"""What a program is told of its embedded sidecar: the variables that `dapr run` sets, and the store.

Dapr's SDK and everything of ours read them when they connect, so a process can tell itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from retunable.sidecar.files import configuration_file

NAMING: Final = ("DAPR_GRPC_PORT", "DAPR_HTTP_PORT", "DAPR_GRPC_ENDPOINT")
"""Any of these names a sidecar."""


def sidecar_is_named(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the environment names a sidecar, running or not."""
    return any(environment.get(name) for name in NAMING)


def app_environment(
    app_id: str, *, grpc_port: int, http_port: int, data_dir: Path
) -> dict[str, str]:
    """Return what the program beside a sidecar gets."""
    return {
        "APP_ID": app_id,
        "DAPR_GRPC_PORT": str(grpc_port),
        "DAPR_HTTP_PORT": str(http_port),
        "RETUNABLE_STORE": store_url(data_dir),
    }


def store_url(data_dir: Path) -> str:
    """Return the URL of a data folder's configuration, as `retune --store` takes it."""
    return f"sqlite://{quote(str(configuration_file(data_dir.resolve())))}"


@contextmanager
def told_to_this_process(values: Mapping[str, str]) -> Iterator[None]:
    """Keep variables set in this process; afterwards they are as they were before."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
