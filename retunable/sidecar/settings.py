"""What one sidecar is told: by a command line, by the process that starts it, by a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retunable.sidecar.files import DEFAULT_DATA_DIR


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarSettings:
    """One app's sidecar; port 0 takes any free one."""

    app_id: str
    data_dir: Path = DEFAULT_DATA_DIR
    resources_path: Path | None = None
    grpc_port: int = 0
    http_port: int = 0

    @property
    def arguments(self) -> list[str]:
        """The command line of ``python -m retunable.sidecar``."""
        found = [
            f"--app-id={self.app_id}",
            f"--data-dir={self.data_dir}",
            f"--grpc-port={self.grpc_port}",
            f"--http-port={self.http_port}",
        ]
        return found + ([f"--resources-path={self.resources_path}"] if self.resources_path else [])
