"""One agent in one environment owns a target: sharing is refused while it is started."""

from __future__ import annotations

import pytest

from retunable.errors import ConfigurationError
from retunable.testing.fake_store import FakeStore
from tests.unit.live.scenes import live_on
from tests.unit.live.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_second_agent_on_the_same_keys_is_refused() -> None:
    store = FakeStore({"agent_role": "Old"})
    first, second = live_on(store), live_on(store, agent="other")
    await first.start()

    with pytest.raises(ConfigurationError, match="prefix='support/'"):
        await second.start()

    await first.stop()


@in_virtual_time
async def test_a_target_is_free_again_after_a_stop() -> None:
    store = FakeStore({"agent_role": "Old"})
    first = live_on(store)
    await first.start()
    await first.stop()
    again = live_on(FakeStore({"agent_role": "New"}), agent="other")
    await again.start()

    assert again.snapshot.config.role == "New"

    await again.stop()


@in_virtual_time
async def test_a_prefix_makes_another_target() -> None:
    store = FakeStore({"agent_role": "Old", "support/agent_role": "New"})
    first, second = live_on(store), live_on(store, agent="other", prefix="support/")
    await first.start()
    await second.start()

    assert (first.snapshot.config.role, second.snapshot.config.role) == ("Old", "New")

    await second.stop()
    await first.stop()
