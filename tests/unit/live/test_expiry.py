"""An envelope's overrides end by themselves, whether the store answers or not."""

from __future__ import annotations

import asyncio
import json

import pytest

from retunable.live.reading import Known
from retunable.live.snapshot_cell import SnapshotCell
from retunable.live.store import FailureKind
from retunable.live.subscription import ConfigSubscription
from tests.unit.config.worlds import AGENT, document, envelope, variant

ENDS = "2026-11-21T09:00:00Z"
AT_END = 1_795_251_600.0
OVERRIDDEN = document(
    envelope(
        stable=variant(2, role="Released"),
        overrides={"role": {"value": "Emergency", "expires_at": ENDS}},
    )
)


class Scene:
    """A cell that has read an override, and the hand on its clock."""

    def __init__(self) -> None:
        self.now = AT_END - 60
        self.cell = SnapshotCell(AGENT, ConfigSubscription())
        self.cell.wall_clock = lambda: self.now
        self.cell.board.clock = asyncio.get_running_loop().time
        self.read()

    def read(self) -> None:
        self.cell.read(Known(OVERRIDDEN), store="redis")

    @property
    def role(self) -> str | None:
        return self.cell.snapshot.config.role if self.cell.snapshot else None


async def test_an_override_ends_at_the_next_read_of_an_unchanged_store() -> None:
    scene = Scene()
    assert scene.role == "Emergency"

    scene.now = AT_END
    scene.read()

    assert scene.role == "Released"


async def test_an_override_ends_while_the_store_is_away() -> None:
    scene = Scene()

    scene.now = AT_END
    scene.cell.failed(FailureKind.STORE_UNREACHABLE, "away")

    assert scene.role == "Released"


async def test_an_end_is_told_like_any_change(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    revision = scene.cell.snapshot.revision if scene.cell.snapshot else 0

    scene.now = AT_END
    with caplog.at_level("INFO", logger="retunable"):
        scene.read()

    assert scene.cell.snapshot is not None
    assert scene.cell.snapshot.revision == revision + 1
    assert f"agent_role={json.dumps('Released')}" in caplog.text
