"""An embedded sidecar for a module, and one that a test may hurt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.embedded import EmbeddedSidecar


@pytest.fixture(scope="module")
def shared_sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedSidecar]:
    """A running sidecar for tests that leave it as it is."""
    with EmbeddedSidecar(tmp_path_factory.mktemp("shared"), app_id="shared") as running:
        yield running


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[EmbeddedSidecar]:
    """A running sidecar of the test's own."""
    with EmbeddedSidecar(tmp_path / "sidecar", app_id="own") as running:
        yield running
