"""Placement and scheduler: what Dapr's workflows need beside the sidecar."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Self

from dev.dapr.binaries import DaprBinaries, ensure_dapr
from dev.part import Part, http_status
from dev.ports import free_port
from dev.processes import Launch

if TYPE_CHECKING:
    from pathlib import Path


class Placement(Part):
    """Knows which sidecar runs which actor."""

    name = "placement"

    def __init__(self, directory: Path, *, binaries: DaprBinaries) -> None:
        super().__init__(directory)
        self._program = binaries.placement
        self.port, self._raft, self._health, self._metrics = (free_port() for _ in range(4))

    def launch(self) -> Launch:
        command = (
            self._program,
            "--id=p0",
            f"--port={self.port}",
            "--listen-address=127.0.0.1",
            f"--initial-cluster=p0=127.0.0.1:{self._raft}",
            "--healthz-listen-address=127.0.0.1",
            f"--healthz-port={self._health}",
            "--metrics-listen-address=127.0.0.1",
            f"--metrics-port={self._metrics}",
        )
        return Launch(name=self.name, command=command, log=self.log)

    def answers(self) -> bool:
        return http_status(self._health, "/healthz") == 200


class Scheduler(Part):
    """Keeps workflow reminders in an etcd of its own, in its directory."""

    name = "scheduler"

    def __init__(self, directory: Path, *, binaries: DaprBinaries) -> None:
        super().__init__(directory)
        self._program = binaries.scheduler
        self.port, self._etcd, self._peer, self._health, self._metrics = (
            free_port() for _ in range(5)
        )

    def launch(self) -> Launch:
        command = (
            self._program,
            "--id=s0",
            f"--port={self.port}",
            "--listen-address=127.0.0.1",
            # Else it advertises the machine's address in the local network.
            f"--override-broadcast-host-port=127.0.0.1:{self.port}",
            f"--etcd-data-dir={self.directory / 'etcd'}",
            f"--identity-directory-write={self.directory / 'identity'}",
            "--etcd-client-listen-address=127.0.0.1",
            f"--etcd-client-port={self._etcd}",
            f"--etcd-initial-cluster=s0=http://127.0.0.1:{self._peer}",
            "--healthz-listen-address=127.0.0.1",
            f"--healthz-port={self._health}",
            "--metrics-listen-address=127.0.0.1",
            f"--metrics-port={self._metrics}",
        )
        return Launch(name=self.name, command=command, log=self.log)

    def answers(self) -> bool:
        return http_status(self._health, "/healthz") == 200

    def forget(self) -> None:
        """Drop every reminder, as a new machine would; only while it does not run."""
        shutil.rmtree(self.directory / "etcd", ignore_errors=True)


class ControlPlane:
    """Placement and scheduler together; each can also be handled by itself."""

    def __init__(self, directory: Path, *, binaries: DaprBinaries | None = None) -> None:
        self.binaries = binaries or ensure_dapr()
        self.placement = Placement(directory / "placement", binaries=self.binaries)
        self.scheduler = Scheduler(directory / "scheduler", binaries=self.binaries)

    def begin(self) -> None:
        self.placement.begin()
        self.scheduler.begin()

    def wait_ready(self) -> None:
        self.placement.wait_ready()
        self.scheduler.wait_ready()

    def start(self) -> None:
        self.begin()
        self.wait_ready()

    def stop(self) -> None:
        self.scheduler.stop()
        self.placement.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
