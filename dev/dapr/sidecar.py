"""One daprd in standalone mode, and the environment that its app gets."""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from dev.part import Part, http_status
from dev.ports import free_port
from dev.processes import Launch, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dev.dapr.control_plane import ControlPlane


class Sidecar(Part):
    """The sidecar of one app id; it keeps its ports over restarts."""

    name = "daprd"
    # daprd gives its gRPC servers 5 s for a graceful end while streams are open.
    stop_seconds = 8.0

    def __init__(
        self,
        directory: Path,
        *,
        app_id: str,
        resources_path: Path,
        control_plane: ControlPlane,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(directory)
        self.app_id = app_id
        self.resources_path = resources_path
        self.control_plane = control_plane
        self.grpc_port, self.http_port, self._internal, self.metrics_port = (
            free_port() for _ in range(4)
        )
        self._arguments = tuple(arguments)
        self._environment = dict(environment or {})

    @property
    def environment(self) -> dict[str, str]:
        """What `dapr run` adds to the environment of its app."""
        return {
            "APP_ID": self.app_id,
            "APP_PROTOCOL": "http",
            "APP_CHANNEL_ADDRESS": "127.0.0.1",
            "DAPR_GRPC_PORT": str(self.grpc_port),
            "DAPR_HTTP_PORT": str(self.http_port),
            "DAPR_METRICS_PORT": str(self.metrics_port),
        }

    def launch(self) -> Launch:
        plane = self.control_plane
        command: tuple[str | Path, ...] = (
            plane.binaries.daprd,
            "--mode=standalone",
            f"--app-id={self.app_id}",
            "--dapr-listen-addresses=127.0.0.1",
            f"--dapr-grpc-port={self.grpc_port}",
            f"--dapr-http-port={self.http_port}",
            "--dapr-internal-grpc-listen-address=127.0.0.1",
            f"--dapr-internal-grpc-port={self._internal}",
            "--metrics-listen-address=127.0.0.1",
            f"--metrics-port={self.metrics_port}",
            f"--placement-host-address=127.0.0.1:{plane.placement.port}",
            f"--scheduler-host-address=127.0.0.1:{plane.scheduler.port}",
            f"--resources-path={self.resources_path}",
            *self._arguments,
        )
        # Actors are called at this address; else at the machine's own in the local network.
        environment = {**os.environ, "DAPR_HOST_IP": "127.0.0.1", **self._environment}
        return Launch(name=self.name, command=command, log=self.log, environment=environment)

    def answers(self) -> bool:
        return http_status(self.http_port, "/v1.0/healthz") == 204

    def metadata(self) -> dict[str, Any]:
        """Return `/v1.0/metadata`, empty when it does not answer."""
        connection = HTTPConnection("127.0.0.1", self.http_port, timeout=2)
        try:
            connection.request("GET", "/v1.0/metadata")
            facts: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, HTTPException, ValueError):
            return {}
        finally:
            connection.close()
        return facts

    def wait_for_component(self, name: str, *, within_seconds: float = 10.0) -> None:
        """Wait until a component is loaded (not: until its server answers)."""
        wait_until(
            lambda: any(c.get("name") == name for c in self.metadata().get("components", ())),
            what=f"component {name}",
            within_seconds=within_seconds,
        )
