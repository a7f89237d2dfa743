"""A world on each backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.stack import RedisStack
from tests.integration.control.world import EmbeddedWorld, RedisWorld, World


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.embedded),
        pytest.param("redis", marks=pytest.mark.redis),
    ]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A folder, a store and a broker without a program."""
    folder = tmp_path / "world"
    folder.mkdir()
    world: World
    if request.param == "embedded":
        world = EmbeddedWorld(folder)
    else:
        stack = request.getfixturevalue("redis_stack")
        assert isinstance(stack, RedisStack)
        world = RedisWorld(folder)
        world.stack = stack
    with world.started:
        yield world
