"""Worlds: one for each backend that tests share, each with agents of its own, and new ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.embedded import EmbeddedStack
from dev.redis import RedisServer
from dev.stack import Stack
from tests.integration.rollouts.world import World


@pytest.fixture(
    scope="package",
    params=[
        pytest.param("embedded", marks=pytest.mark.embedded),
        pytest.param("redis", marks=pytest.mark.redis),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ],
)
def any_world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One test, every backend; a control process follows its rollouts."""
    folder = tmp_path_factory.mktemp(request.param)
    with _stack(request, folder / "stack") as stack, World(folder, stack) as world:
        world.control()
        yield world


@pytest.fixture
def world(embedded_stack: EmbeddedStack, tmp_path: Path) -> Iterator[World]:
    """A world of a test's own, on the backend that starts quickest, with a version to try."""
    with World(tmp_path, embedded_stack) as world:
        world.release()
        yield world


def _stack(request: pytest.FixtureRequest, folder: Path) -> EmbeddedStack | Stack:
    if request.param == "embedded":
        return EmbeddedStack(folder)
    for part in ("dapr_binaries", "redis_program"):
        request.getfixturevalue(part)
    broker = RedisServer(folder / "broker")
    if request.param == "redis":
        return Stack.redis(folder, broker=broker)
    request.getfixturevalue("postgres_program")
    return Stack.postgres(folder, broker=broker)
