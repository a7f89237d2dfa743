"""300 hostile writes through each server: whatever stands in the store, the agent answers.

What must hold after each write is what the pure core says about the same items, whose own
properties 10,000 such values have been through; so a value lost or let in on the way shows.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from retunable.config.build import Built, build
from retunable.config.items import Item, Unreadable
from tests.behaviour.agent_settings import DOCUMENT_KEY, AgentSettings
from tests.behaviour.agent_under_test import build_agent
from tests.behaviour.hostile import SECRET, TEMPLATES, WRITES, hostile_writes
from tests.behaviour.waiting import eventually

if TYPE_CHECKING:
    from retunable.config.declaration import Declaration
    from tests.behaviour.agent_process import AgentProcess, Json
    from tests.behaviour.backend import Backend
    from tests.behaviour.lab import Lab
    from tests.behaviour.measured import RecordProperty

SETTLE_SECONDS = 15.0
# Writes that only a timed read can find are many here.
SETTINGS = AgentSettings(timings={"reconcile_seconds": 0.3})


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_agent_answers_through_every_hostile_value(
    plain_lab: Lab, record_property: RecordProperty
) -> None:
    lab, agent = plain_lab, plain_lab.start_agent(SETTINGS)
    agent.wait_live()
    mirror = Mirror(lab.backend, build_agent(SETTINGS).declaration)
    mirror.write("agent_goal", b"the goal that stays")
    mirror.await_in(agent)
    with Asker(agent) as asker:
        taken = sum(mirror.survive(agent, *write) for write in hostile_writes())
    record_property("taken_by_the_store", f"{taken} of {WRITES}")
    record_property("rejected", mirror.rejections)
    record_property("answers_meanwhile", asker.answers)
    assert asker.refusals == []
    assert asker.answers >= 10
    assert mirror.rejections >= WRITES // 4
    assert SECRET not in agent.log()
    told = [request.system_prompt for request in lab.model.requests]
    assert not [text for text in told if "49" in text]
    _assert_templates_told_as_written(lab, mirror, agent)


def _assert_templates_told_as_written(lab: Lab, mirror: Mirror, agent: AgentProcess) -> None:
    mirror.remove("agent_system_prompt")
    mirror.survive(agent, DOCUMENT_KEY, b'{"style_guidelines": "a sound document"}')
    mirror.survive(agent, "agent_role", TEMPLATES)
    mirror.survive(agent, "max_iterations", b"10")
    agent.answer()
    assert TEMPLATES.decode() in lab.told()


@dataclass
class Mirror:
    """The store's items as the agent should see them, and the snapshot that follows from them."""

    backend: Backend
    declaration: Declaration
    items: dict[str, Item | Unreadable] = field(default_factory=dict)
    rejections: int = 0
    written_at: float = 0.0

    def __post_init__(self) -> None:
        self._built: Built = build(self.declaration, {})

    def survive(self, agent: AgentProcess, key: str, value: bytes) -> bool:
        """Write, wait until the agent shows what follows; returns whether the store took it."""
        taken = self.write(key, value)
        if taken:
            self.await_in(agent)
            if isinstance(self.items.get(key), Unreadable):
                # It would slow every read from here on.
                self.remove(key)
                self.await_in(agent)
        return taken

    def write(self, key: str, value: bytes) -> bool:
        if not self.backend.set_hostile(key, value):
            return False
        self.written_at = time.monotonic()
        self.items[key] = self.backend.as_read(value)
        self._build()
        self.rejections += any(r.key == key for r in self._built.snapshot.rejected)
        return True

    def remove(self, key: str) -> None:
        self.backend.delete_hostile(key)
        self.written_at = time.monotonic()
        self.items.pop(key, None)
        self._build()

    def await_in(self, agent: AgentProcess) -> None:
        """Wait until the agent has read since the last write, and its own report says the same.

        A document's field below a field key shows nowhere: not waited for, it could be gone before
        the agent saw it, and what is last good would be another value than here.
        """
        expected = self._expected()
        eventually(
            lambda: self._difference(expected, agent),
            what="the agent to show what stands in the store",
            within_seconds=SETTLE_SECONDS,
            until=lambda difference: not difference,
            every_seconds=0.005,
        )

    def _difference(self, expected: Json, agent: AgentProcess) -> str:
        asked_at = time.monotonic()
        config = agent.config()
        age_seconds = config["age_seconds"]
        if age_seconds is None or asked_at - age_seconds < self.written_at:
            return "nothing was read since the write"
        return _difference(expected, _reported(config))

    def _build(self) -> None:
        self._built = build(
            self.declaration,
            self.items,
            last_good=self._built.last_good,
            store=self.backend.store_kind,
        )

    def _expected(self) -> Json:
        snapshot = self._built.snapshot
        return {
            **snapshot.config.to_json(),
            "rejected": sorted((r.key, r.code, r.kept) for r in snapshot.rejected),
            "lost": list(snapshot.lost),
        }


class Asker:
    """A thread that asks the agent all the while and remembers what was no answer."""

    def __init__(self, agent: AgentProcess) -> None:
        self.answers = 0
        self.refusals: list[str] = []
        self._agent = agent
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._done.wait(0.1):
            response = self._agent.run()
            if response.status_code == 200:
                self.answers += 1
            else:
                self.refusals.append(f"{response.status_code} {response.text[:500]}")

    def __enter__(self) -> Asker:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._done.set()
        self._thread.join()


def _reported(config: Json) -> Json:
    assert all(rejection["reason"] for rejection in config["rejected"])
    return {
        **config["config"],
        "rejected": sorted((r["key"], r["code"], r["kept"]) for r in config["rejected"]),
        "lost": config["lost"],
    }


def _difference(expected: Json, reported: Json) -> str:
    return "; ".join(
        f"{name}: expected {expected[name]!r:.200}, the agent has {reported[name]!r:.200}"
        for name in expected
        if expected[name] != reported[name]
    )
