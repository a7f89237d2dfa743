"""A world on each backend, with a version and another one to try."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.rollouts.world import World


@pytest.fixture(
    params=[
        pytest.param("embedded_stack", id="embedded", marks=pytest.mark.embedded),
        pytest.param("redis_stack", id="redis", marks=pytest.mark.redis),
        pytest.param("postgres_stack", id="postgresql", marks=pytest.mark.postgresql),
    ]
)
def any_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """One test, every backend."""
    yield from _world(tmp_path, request.getfixturevalue(request.param))


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The backend that starts quickest."""
    yield from _world(tmp_path, request.getfixturevalue("embedded_stack"))


def _world(folder: Path, stack: object) -> Iterator[World]:
    world = World(folder, stack)  # type: ignore[arg-type]
    with world.started:
        world.release()
        yield world
