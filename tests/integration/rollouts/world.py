"""One backend with a control process beside it, and users whose runs are told on the real topic.

Most runs are made up (``telling``); who gets which variant is what agents would make of the
published envelope.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Self

import grpc
import yaml

from dev.dapr import Sidecar
from dev.embedded import EmbeddedSidecar, EmbeddedStack
from dev.processes import ChildProcess, Launch
from dev.resources import CHECKOUT
from dev.stack import Stack
from retunable.config.agent_config import AgentConfig
from retunable.config.build import build
from retunable.config.snapshot import Snapshot
from retunable.control.rollouts.starting import Prepared, Request, prepare
from retunable.events.event import Event
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
from tests.integration.rollouts.telling import Behaviour, Broker, run_of, served

PATIENCE_SECONDS = 90.0
CROWD = 20
SITE = Site(agent="support-bot", environment="production", prefix="live/")

QUICK: Mapping[str, Any] = {
    "judged": [{"metric": "error", "margin": 0.4}],
    "promote_at": 1000,
    "window_seconds": 0.1,
    "run_timeout_seconds": 3.0,
    "stage_users": 8,
    "stage_seconds": 0.2,
    "canary_users": 30,
    "deadline_seconds": 120,
}


@dataclass
class World:
    """Everything on one backend; a context manager that ends what it started."""

    folder: Path
    stack: EmbeddedStack | Stack
    started: ExitStack = field(default_factory=ExitStack)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    random: random.Random = field(default_factory=lambda: random.Random(7))
    tool_code: str = "code"

    def __post_init__(self) -> None:
        address = f"127.0.0.1:{self.stack.environment['DAPR_GRPC_PORT']}"
        # A channel's own first reconnect after a kill may come a second late.
        options = [("grpc.min_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
        channel = self.started.enter_context(grpc.insecure_channel(address, options))
        self.broker = Broker(channel, self.random)
        self.kept = self.started.enter_context(open_release_store(self.releases))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.started.close()

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
        log = self.folder / f"control-{next(self.numbers)}.log"
        return self.child(
            *arguments, log=log, environment={**self.stack.environment, **environment}
        )

    def child(self, *arguments: str, log: Path, environment: Mapping[str, str]) -> ChildProcess:
        """Start a Python process that ends with this world."""
        child = ChildProcess(
            Launch(
                name=log.stem,
                command=[sys.executable, *arguments],
                log=log,
                environment={**os.environ, **environment},
                working_directory=CHECKOUT,
            )
        )
        self.started.callback(child.terminate)
        return child

    def sidecar_of(self, app_id: str) -> EmbeddedSidecar | Sidecar:
        """Start another sidecar on this backend, with a secret."""
        folder = self.folder / app_id
        resources = folder / "resources"
        resources.mkdir(parents=True)
        (folder / "secrets.json").write_text('{"user-key": "of the test"}')
        (resources / "secretstore.yaml").write_text(yaml.safe_dump(_secrets(folder)))
        sidecar: EmbeddedSidecar | Sidecar
        if isinstance(self.stack, EmbeddedStack):
            sidecar = EmbeddedSidecar(folder, app_id=app_id)
            sidecar.data_dir = self.stack.sidecar.data_dir
            sidecar.resources_path = resources
        else:
            for file in self.stack.resources.glob("*.yaml"):
                shutil.copy(file, resources)
            plane = self.stack.control_plane
            sidecar = Sidecar(folder, app_id=app_id, resources_path=resources, control_plane=plane)
        self.started.enter_context(sidecar)
        return sidecar

    def release(self, site: Site = SITE, *, provider: str = "offline") -> None:
        """Save a version and another one, and have the first one active."""
        with self.plane() as plane:
            for role in ("First", "Second"):
                config = AgentConfig(role=role, model="offline", provider=provider, tools=())
                with plane.store.transaction() as work:
                    draft = Draft(agent=site.agent, config=config.to_json(), reason=role)
                    assert isinstance(versions.save(work, draft), Saved)
            wish = Wish(version=1, reason="first")
            assert isinstance(activate(plane, site, wish), Activated)

    def begin(
        self,
        site: Site = SITE,
        *,
        stages: Sequence[float] = (20, 50),
        look_seconds: float = 0.3,
        **policy: Any,
    ) -> Rollout:
        """Start the rollout of version 2."""
        request = Request(
            version=2,
            stages=tuple(stages),
            policy=parse_policy({**QUICK, **policy}),
            reason="try it",
            look_seconds=look_seconds,
        )
        with self.plane() as plane:
            prepared = prepare(plane, site, request)
            assert isinstance(prepared, Prepared), prepared
            outcome = start(plane, site, prepared.start)
            assert isinstance(outcome, Activated), outcome
        return self.rollout(prepared.start.share["id"])

    def mend(self, site: Site = SITE) -> None:
        """Have the release store know what stands, as a controller would."""
        with self.plane() as plane:
            publish(plane, site)

    def flag(self) -> None:
        """Publish a flag beside what is published."""
        flag = {"name": "beta", "percent": 10, "salt": "f", "set": {"temperature": 0.2}}

        def alter(_: Transaction, before: Parts) -> Parts:
            return replace(before, flags=(flag,))

        with self.plane() as plane:
            wish = Wish(reason="flag", action="flag", keep_overrides=True, alter=alter)
            assert isinstance(activate(plane, SITE, wish), Activated)

    def rollout(self, name: str) -> Rollout:
        with self.kept.snapshot() as work:
            found = rollouts.rollout(work, name)
        assert found is not None
        return found

    def steps(self, name: str) -> tuple[Step, ...]:
        with self.kept.snapshot() as work:
            return rollouts.steps(work, name)

    def live(self, site: Site = SITE) -> Rollout | None:
        """Return the rollout that goes on at a site."""
        with self.kept.snapshot() as work:
            return rollouts.live(work, site.agent, environment=site.environment)

    def counts(self, rollout: Rollout) -> Sequence[Any]:
        """Return the counts of a rollout's runs by variant."""
        with self.kept.snapshot() as work:
            return run_events.counts(
                work, rollout.agent, environment=rollout.environment, rollout=rollout.id
            )

    def told(self, rollout: Rollout) -> Sequence[Any]:
        """Return the rows that the release store has of a rollout's runs."""
        with self.kept.snapshot() as work:
            return run_events.run_events(work, rollout.id, after=0, at_most=100_000)

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
            given = served(snapshot, user, tool_code=self.tool_code)
            got[user] = given["variant"]
            went = behaviour(given["variant"], self.random)
            events += run_of(site, user, given, went=went)
        self.broker.tell(events)
        return got

    def until(
        self, done: Callable[[], object], behaviours: Mapping[Site, Behaviour] | None = None
    ) -> None:
        """Let users come to sites with a live rollout until it is so.

        More come when the control process has taken what was told: however slow the machine is, a
        run is not late by the crowd behind it.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert time.monotonic() < deadline, self._seen()
            if not self.all_taken():
                time.sleep(0.02)
                continue
            for site, behaviour in (behaviours or {}).items():
                if self.live(site) is not None:
                    self.users(CROWD, behaviour, site)
            time.sleep(0.02)

    def over(self, *begun: Rollout) -> bool:
        """Tell whether rollouts have ended."""
        return not any(self.rollout(one.id).is_live for one in begun)

    def all_taken(self) -> bool:
        """Tell whether the release store has every event that the broker took."""
        with self.kept.snapshot() as work:
            found = work.connection.exec_driver_sql("SELECT event_id FROM release_run_events")
            return self.broker.taken <= {row.event_id for row in found}

    def all_told(self) -> bool:
        """Tell the broker what waits for it, and whether the release store has all there is."""
        self.broker.tell([])
        return not self.broker.waiting and self.all_taken()

    def _seen(self) -> str:
        with self.kept.snapshot() as work:
            found = [(one, rollouts.steps(work, one.id)) for one in rollouts.all_live(work)]
        logs = [file.read_text()[-2000:] for file in self.folder.glob("control-*.log")]
        return "\n".join([f"still live: {found}", *logs])


def _secrets(folder: Path) -> dict[str, Any]:
    return {
        "apiVersion": "dapr.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "secretstore"},
        "spec": {
            "type": "secretstores.local.file",
            "version": "v1",
            "metadata": [{"name": "secretsFile", "value": str(folder / "secrets.json")}],
        },
    }
