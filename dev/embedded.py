"""The embedded sidecar as a part like daprd: killed, paused and started again on the same ports."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from dev.part import Part, http_status
from dev.ports import free_port
from dev.processes import Launch
from retunable.sidecar.configuration import ConfigurationFile
from retunable.sidecar.environment import app_environment
from retunable.sidecar.files import configuration_file

if TYPE_CHECKING:
    from pathlib import Path


class EmbeddedSidecar(Part):
    """`python -m retunable.sidecar` for one app id."""

    name = "embedded-sidecar"

    def __init__(self, directory: Path, *, app_id: str) -> None:
        super().__init__(directory)
        self.app_id = app_id
        self.data_dir = directory / "data"
        self.resources_path: Path | None = None
        self.grpc_port, self.http_port = free_port(), free_port()

    @property
    def environment(self) -> dict[str, str]:
        """What the program beside it gets."""
        return app_environment(
            self.app_id,
            grpc_port=self.grpc_port,
            http_port=self.http_port,
            data_dir=self.data_dir,
        )

    def launch(self) -> Launch:
        command = [
            sys.executable,
            "-m",
            "retunable.sidecar",
            f"--app-id={self.app_id}",
            f"--grpc-port={self.grpc_port}",
            f"--http-port={self.http_port}",
            f"--data-dir={self.data_dir}",
            *([f"--resources-path={self.resources_path}"] if self.resources_path else []),
        ]
        return Launch(name=self.name, command=command, log=self.log, environment=dict(os.environ))

    def answers(self) -> bool:
        return http_status(self.http_port, "/v1.0/healthz") == 204


class EmbeddedStack:
    """What ``Stack`` is on Dapr: a context manager around everything that one app id needs."""

    backend: ClassVar[Literal["embedded"]] = "embedded"

    def __init__(self, directory: Path, *, app_id: str = "agent-under-test") -> None:
        self.directory = directory.resolve()
        self.sidecar = EmbeddedSidecar(self.directory, app_id=app_id)

    @property
    def file(self) -> ConfigurationFile:
        """The configuration, as any process of the machine reads and writes it."""
        return ConfigurationFile(configuration_file(self.sidecar.data_dir))

    @property
    def environment(self) -> dict[str, str]:
        """What an app of this stack gets."""
        return self.sidecar.environment

    def set(self, key: str, value: str) -> None:
        self.file.write({key: value})

    def delete(self, key: str) -> None:
        self.file.write({key: None})

    def start(self) -> None:
        self.sidecar.start()

    def stop(self) -> None:
        self.sidecar.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
