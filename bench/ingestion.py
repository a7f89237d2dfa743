"""`python -m bench.ingestion`: outcomes into a release store, as `retune control` takes them.

Batches as its subscription gives them, JSON and all, one transaction each. Goal: 1,000 outcomes a
second into PostgreSQL on two cores. Then what a controller that starts anew reads them back in: all of them,
and the rest after a checkpoint. Half of the users are decided by then.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path

from pydantic_core import to_json as json_bytes

from dev.postgres import PostgresServer
from retunable.config.agent_config import AgentConfig
from retunable.control.ingestion import Ingestion
from retunable.control.process import HANDLERS
from retunable.control.rollouts import following
from retunable.control.rollouts.following import Follower
from retunable.events.encoding import to_json
from retunable.events.event import Arm, Outcome
from retunable.release.store import rollouts, versions
from retunable.release.store.release_store import ReleaseStore, open_release_store, set_up
from retunable.release.store.rollouts import Rollout
from retunable.release.store.versions import Saved

BATCH = 500
PLAN = {
    "share": {"id": "r", "salt": "s", "stages": [50], "control_percent": None},
    "policy": {},
    "limits": {},
    "basis": {
        "stable_checksum": "",
        "canary_checksum": "",
        "flags": "",
        "tools": None,
        "overrides": [],
    },
}


def main() -> None:
    """Measure SQLite, then PostgreSQL."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingestion", description=__doc__)
    parser.add_argument("--outcomes", type=int, default=20_000)
    count = parser.parse_args().outcomes
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="retunable-bench-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        server = stack.enter_context(PostgresServer(Path(folder) / "postgresql"))
        for url in (f"sqlite:///{folder}/releases.db", server.url):
            set_up(url)
            with open_release_store(url) as store:
                _measure(store, count)


def _measure(store: ReleaseStore, count: int) -> None:
    messages = [json_bytes(to_json(_outcome(number))) for number in range(count)]
    ingestion = Ingestion(store, HANDLERS)
    before, times = time.perf_counter(), []
    for first in range(0, count, BATCH):
        began = time.perf_counter()
        ingestion.take(messages[first : first + BATCH])
        times.append(time.perf_counter() - began)
    took = time.perf_counter() - before
    times.sort()
    print(
        f"{store.kind:10} {count / took:8,.0f} outcomes/s   batch of {BATCH}: median "
        f"{times[len(times) // 2] * 1000:.0f} ms, slowest {times[-1] * 1000:.0f} ms   "
        f"load {os.getloadavg()[0]:.1f}"
    )
    before = time.perf_counter()
    for first in range(0, count, BATCH):
        ingestion.take(messages[first : first + BATCH])
    print(f"{'':10} {count / (time.perf_counter() - before):8,.0f} of them again /s, none counted")
    row = _begun(store)
    whole, took = _judged(store, row)
    print(f"{'':10} {count / took:8,.0f} read back /s by a new controller without a checkpoint")
    following.KEEP_EVERY = 0  # type: ignore[misc]
    before = time.perf_counter()
    with store.transaction() as work:
        whole.keep(work)
    keeping = time.perf_counter() - before
    resumed, took = _judged(store, row)
    print(
        f"{'':10} {took * 1000:8,.0f} ms from its checkpoint, {resumed.rows_read} rows read; kept in "
        f"{keeping * 1000:,.0f} ms"
    )


def _judged(store: ReleaseStore, row: Rollout) -> tuple[Follower, float]:
    """Have a controller that starts anew judge; return it and how many seconds it took."""
    before = time.perf_counter()
    follower = Follower(row)
    follower.catch_up(store)
    with store.transaction() as work:
        follower.judge(work, row)
    return follower, time.perf_counter() - before


def _outcome(number: int) -> Outcome:
    arm: Arm = "canary" if number % 2 else "stable"
    return Outcome(
        event_id=str(uuid.uuid4()),
        agent="support",
        environment="production",
        replica="host:1",
        at_ms=int(time.time() * 1000) - (86_400_000 if number % 4 < 2 else 0),
        run_id=str(uuid.uuid4()),
        bucket=number % 10_000,
        arm=arm,
        rollout_id="r",
        user_hmac=uuid.uuid4().hex * 2,
        version=2,
        version_checksum=f"1:sha256:{'0' * 64}",
        effective_checksum=f"1:sha256:{'0' * 64}",
        variant=arm,
        cohort=0,
        state="finished",
        input_tokens=900,
        output_tokens=200,
        cost=0.002,
        latency_ms=1_500,
        steps=2,
    )


def _begun(store: ReleaseStore) -> Rollout:
    config = AgentConfig(model="m", provider="offline", tools=()).to_json()
    with store.transaction() as work:
        saved = versions.save(work, versions.Draft(agent="support", config=config, reason="bench"))
        if not isinstance(saved, Saved):
            raise SystemExit(str(saved))
        begun = rollouts.begin(
            work,
            rollouts.Draft(
                id="r",
                agent="support",
                environment="production",
                version=saved.version.number,
                checksum=saved.version.checksum,
                reason="bench",
                plan=PLAN,
            ),
        )
    if not isinstance(begun, Rollout):
        raise SystemExit(str(begun))
    return begun


if __name__ == "__main__":
    main()
