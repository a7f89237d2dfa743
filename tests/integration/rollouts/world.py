"""One backend with a control process beside it, and users whose runs are told on the real topic.

The runs are made up; who gets which variant is what agents would make of the published envelope.
"""

from __future__ import annotations

import random
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

import grpc
from dapr.proto.runtime.v1 import dapr_pb2_grpc, pubsub_pb2
from pydantic_core import to_json as json_bytes

from dev.embedded import EmbeddedStack
from dev.processes import ChildProcess, Launch
from dev.resources import CHECKOUT
from dev.stack import Stack
from retunable.agent.runs.exposed import exposed
from retunable.config.agent_config import AgentConfig
from retunable.config.build import build
from retunable.config.resolve import resolve
from retunable.config.snapshot import Snapshot
from retunable.control.rollouts.starting import Prepared, Request, prepare
from retunable.events.encoding import to_json
from retunable.events.event import PUBSUB, TOPIC, Event, Exposure, Outcome
from retunable.release.opening import open_publisher
from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.outcomes import Activated
from retunable.release.publishing.rollouts import start
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.publishing.state import publish
from retunable.release.store import rollouts, run_events, versions
from retunable.release.store.database import Transaction
from retunable.release.store.parts import Parts
from retunable.release.store.points import Point
from retunable.release.store.release_store import open_release_store
from retunable.release.store.rollouts import Rollout, Step
from retunable.release.store.versions import Draft, Saved
from retunable.release.store_url import StoreURL
from retunable.rollout.policy_document import parse_policy
from retunable.sidecar.environment import store_url as sqlite_url

PATIENCE_SECONDS = 60.0
SITE = Site(agent="support-bot", environment="production", prefix="live/")

Run = Literal["well", "fails", "hangs", "slowly"]
Behaviour = Callable[[str, random.Random], Run]
"""From a variant to how one of its runs goes."""

QUICK: Mapping[str, Any] = {
    "judged": [{"metric": "error", "margin": 0.4}],
    "promote_at": 1000,
    "window_seconds": 0.1,
    "run_timeout_seconds": 1.5,
    "stage_users": 8,
    "stage_seconds": 0.2,
    "canary_users": 30,
    "deadline_seconds": 120,
}


@dataclass
class World:
    """Everything on one backend; ``started`` ends it."""

    folder: Path
    stack: EmbeddedStack | Stack
    started: ExitStack = field(default_factory=ExitStack)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    random: random.Random = field(default_factory=lambda: random.Random(7))
    tool_code: str = "code"

    def __post_init__(self) -> None:
        address = f"127.0.0.1:{self.stack.environment['DAPR_GRPC_PORT']}"
        channel = self.started.enter_context(grpc.insecure_channel(address))
        self._dapr: Any = dapr_pb2_grpc.DaprStub(channel)  # type: ignore[no-untyped-call]

    @property
    def store_url(self) -> str:
        if isinstance(self.stack, EmbeddedStack):
            return sqlite_url(self.stack.sidecar.data_dir)
        return self.stack.store.url

    @property
    def releases(self) -> str:
        return f"sqlite:///{self.folder / 'releases.db'}"

    @contextmanager
    def plane(self) -> Iterator[ControlPlane]:
        publisher = open_publisher(StoreURL.parse(self.store_url))
        try:
            with open_release_store(self.releases) as store:
                yield ControlPlane(store=store, publisher=publisher)
        finally:
            publisher.close()

    def control(self) -> ChildProcess:
        """Start ``retune control``."""
        program = "from retunable.cli import main; main()"
        return self._child(
            *("-c", program, "control", "--releases", self.releases, "--store", self.store_url)
        )

    def control_until(self, point: Point, number: signal.Signals) -> ChildProcess:
        """Start a control process that sends itself a signal at a point of an activation."""
        return self._child(
            *("-m", "tests.integration.rollouts.control_program"),
            POINT=point.value,
            SIGNAL=number.name,
            STORE=self.store_url,
            RELEASES=self.releases,
        )

    def _child(self, *arguments: str, **environment: str) -> ChildProcess:
        child = ChildProcess(
            Launch(
                name="control",
                command=[sys.executable, *arguments],
                log=self.folder / f"control-{next(self.numbers)}.log",
                environment={**self.stack.environment, **environment},
                working_directory=CHECKOUT,
            )
        )
        self.started.callback(child.terminate)
        return child

    def release(self, site: Site = SITE) -> None:
        """Save a version and another one, and have the first one active."""
        with self.plane() as plane:
            for role in ("First", "Second"):
                config = AgentConfig(role=role, model="offline", provider="offline", tools=())
                with plane.store.transaction() as work:
                    draft = Draft(agent=site.agent, config=config.to_json(), reason=role)
                    assert isinstance(versions.save(work, draft), Saved)
            wish = Wish(version=1, reason="first")
            assert isinstance(activate(plane, site, wish), Activated)

    def begin(
        self, site: Site = SITE, *, stages: Sequence[float] = (20, 50), **policy: Any
    ) -> Rollout:
        """Start the rollout of version 2."""
        request = Request(
            version=2,
            stages=tuple(stages),
            policy=parse_policy({**QUICK, **policy}),
            reason="try it",
            look_seconds=0.1,
        )
        with self.plane() as plane:
            prepared = prepare(plane, site, request)
            assert isinstance(prepared, Prepared), prepared
            outcome = start(plane, site, prepared.start)
            assert isinstance(outcome, Activated), outcome
        return self.rollout(prepared.start.share["id"])

    def mend(self) -> None:
        """Have the release store know what stands, as a controller would."""
        with self.plane() as plane:
            publish(plane, SITE)

    def flag(self) -> None:
        """Publish a flag beside what is published."""
        flag = {"name": "beta", "percent": 10, "salt": "f", "set": {"temperature": 0.2}}

        def alter(_: Transaction, before: Parts) -> Parts:
            return replace(before, flags=(flag,))

        with self.plane() as plane:
            wish = Wish(reason="flag", action="flag", keep_overrides=True, alter=alter)
            assert isinstance(activate(plane, SITE, wish), Activated)

    def rollout(self, name: str) -> Rollout:
        with open_release_store(self.releases) as store, store.snapshot() as work:
            found = rollouts.rollout(work, name)
        assert found is not None
        return found

    def steps(self, name: str) -> tuple[Step, ...]:
        with open_release_store(self.releases) as store, store.snapshot() as work:
            return rollouts.steps(work, name)

    def kept(self, site: Site = SITE) -> int:
        """How many outcomes of stable the release store has."""
        with open_release_store(self.releases) as store, store.snapshot() as work:
            long_ago = work.now.replace(year=2001)
            return run_events.usage(
                work, site.agent, environment=site.environment, since=long_ago
            ).ended

    def snapshot(self, site: Site = SITE) -> Snapshot:
        """What agents make of what stands at a site."""
        publisher = open_publisher(StoreURL.parse(self.store_url))
        try:
            items = publisher.read(site.declaration.keys)
        finally:
            publisher.close()
        built = build(site.declaration, items, store=publisher.kind, now=time.time())
        return built.snapshot

    def users(self, number: int, behaviour: Behaviour, site: Site = SITE) -> dict[str, str]:
        """Have new users run once each; return who got which variant."""
        snapshot = self.snapshot(site)
        events: list[Event] = []
        got: dict[str, str] = {}
        for _ in range(number):
            user = f"user-{next(self.numbers)}"
            served = _served(snapshot, user, self.tool_code)
            got[user] = served["variant"]
            events += self._run(site, user, served, behaviour(served["variant"], self.random))
        self.random.shuffle(events)
        for event in events:
            self.tell(event, times=2 if self.random.random() < 0.2 else 1)
        return got

    def tell(self, event: Event, *, times: int = 1) -> None:
        """Publish an event through the broker."""
        request = pubsub_pb2.PublishEventRequest(
            pubsub_name=PUBSUB,
            topic=TOPIC,
            data=json_bytes(to_json(event)),
            data_content_type="application/json",
        )
        for _ in range(times):
            self._dapr.PublishEvent(request, timeout=10)

    def until(
        self,
        rollout: Rollout,
        done: Callable[[Rollout], bool],
        behaviour: Behaviour | None = None,
        site: Site = SITE,
    ) -> Rollout:
        """Let users come until a rollout is as it should be."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done(now := self.rollout(rollout.id)):
            assert time.monotonic() < deadline, f"last seen {now}; {self.steps(rollout.id)}"
            if behaviour is not None:
                self.users(20, behaviour, site)
            else:
                time.sleep(0.05)
        return now

    def _run(self, site: Site, user: str, served: dict[str, Any], went: Run) -> list[Event]:
        now_ms = time.time_ns() // 1_000_000
        latency_ms = 500 if went == "slowly" else self.random.randint(10, 100)
        told = {
            "agent": site.agent,
            "environment": site.environment,
            "replica": "r",
            "run_id": f"run-of-{user}",
            **served,
        }
        began = Exposure(**told, event_id=str(uuid.uuid4()), at_ms=now_ms - latency_ms)
        if went == "hangs":
            return [began]
        ended = Outcome(
            **told,
            event_id=str(uuid.uuid4()),
            at_ms=now_ms,
            state="failed" if went == "fails" else "finished",
            latency_ms=latency_ms,
        )
        return [began, ended]


def _served(snapshot: Snapshot, user: str, tool_code: str) -> dict[str, Any]:
    resolution = resolve(snapshot, now=time.time(), user_id=user)
    stands = exposed(resolution.assignment, snapshot.rollout, pin=None, tool_code=lambda: tool_code)
    effective = resolution.effective
    return {
        "version": effective.version,
        "version_checksum": effective.version_checksum,
        "effective_checksum": effective.checksum,
        "variant": effective.variant,
        "rollout_id": stands.rollout_id,
        "bucket": stands.bucket,
        "arm": stands.arm,
        "cohort": stands.cohort,
        "pinned": stands.pinned,
        "anonymous": stands.anonymous,
        "tool_code": stands.tool_code,
        "user_hmac": f"hmac of {user} {stands.rollout_id}",
    }
