"""`python -m bench.releases`: a release store with 10,000 versions of one agent, on both databases.

Prints the median and the slowest of what a person waits for, beside the bytes that a version takes.
Goal: a page of the listing, diff and `at` within 100 ms after start-up.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dev.postgres import PostgresServer
from retunable.cli.version_list import active_marks
from retunable.config.agent_config import AgentConfig
from retunable.config.diff import detail, diff
from retunable.release.store import deployments, versions
from retunable.release.store.deployments import Begun, Intent
from retunable.release.store.release_store import open_release_store, set_up
from retunable.release.store.verifying import verify
from retunable.release.store.versions import Draft

if TYPE_CHECKING:
    from collections.abc import Callable

    from retunable.release.store.database import Transaction
    from retunable.release.store.release_store import ReleaseStore

AGENT, ENVIRONMENT = "support", "production"
PROMPT = " ".join(
    f"Rule {n}: answer kindly, briefly and only from the documents." for n in range(40)
)
DEPLOY_EVERY = 10
ROUNDS = 21


def main() -> None:
    """Measure SQLite, then PostgreSQL."""
    options = _options()
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="retunable-bench-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        server = stack.enter_context(PostgresServer(Path(folder) / "postgresql"))
        for url in (f"sqlite:///{folder}/releases.db", server.url):
            set_up(url)
            with open_release_store(url) as store:
                _measure(store, count=options.versions, size=partial(_bytes, server, url))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.releases", description=__doc__)
    parser.add_argument("--versions", type=int, default=10_000)
    return parser.parse_args()


def _measure(store: ReleaseStore, *, count: int, size: Callable[[], int]) -> None:
    before = size()
    began = time.perf_counter()
    for first in range(0, count, 100):
        with store.transaction() as work:
            for number in range(first + 1, min(first + 100, count) + 1):
                _save(work, number)
                if number % DEPLOY_EVERY == 0:
                    _deploy(work, number)
    seconds = time.perf_counter() - began
    per_version = (size() - before) / count
    with store.snapshot() as work:
        newest = versions.latest(work, AGENT)
    if newest is None:
        raise SystemExit("nothing was saved")
    print(f"\n{store.kind}: {count:,} versions of {newest.size_bytes:,} bytes in {seconds:.0f} s")
    print(f"  {per_version:,.0f} bytes per version on disk, with a tenth of a deployment")
    half = newest.stamp.at - timedelta(seconds=seconds / 2)
    _time("versions, all", lambda: _read(store, lambda work: versions.versions(work, AGENT)))
    for name, below in (("newest", versions.ALL), ("middle", count // 2), ("oldest", 51)):
        _time(f"versions, {name} page", partial(_read, store, partial(_page, below=below)))
    _time("diff 1 and the latest", lambda: _read(store, lambda work: _diff(work, 1, count)))
    _time(
        "at, half the time ago",
        lambda: _read(
            store,
            lambda work: deployments.active(work, AGENT, environment=ENVIRONMENT, at=half),
        ),
    )
    _time("save", lambda: _write(store, lambda work: _save(work, time.perf_counter_ns())))
    _time("begin and confirm", lambda: _write(store, lambda work: _deploy(work, 1)))
    _time("verify all", lambda: _read(store, verify), rounds=3)


def _save(work: Transaction, number: int) -> None:
    config = AgentConfig(model="m", tools=(), role=f"role {number}", system_prompt=PROMPT).to_json()
    versions.save(work, Draft(agent=AGENT, config=config, reason="a usual reason"))


def _deploy(work: Transaction, number: int) -> None:
    begun = deployments.begin(
        work,
        Intent(
            agent=AGENT,
            environment=ENVIRONMENT,
            action="activate",
            version=number,
            reason="a usual reason",
            published=0,
        ),
    )
    if not isinstance(begun, Begun):
        raise SystemExit(f"refused: {begun}")
    deployments.confirm(work, begun.deployment)


def _page(work: Transaction, *, below: int) -> object:
    """What `retune versions` reads: 50 versions, and where each is active."""
    return versions.versions(work, AGENT, before=below, at_most=50), active_marks(work, AGENT)


def _diff(work: Transaction, one: int, other: int) -> object:
    found = [versions.version(work, AGENT, number) for number in (one, other)]
    old, new = (versions.parsed_config(work, version) for version in found if version)
    return [detail(change) for change in diff(old, new)]


def _read(store: ReleaseStore, what: Callable[[Transaction], object]) -> None:
    with store.snapshot() as work:
        what(work)


def _write(store: ReleaseStore, what: Callable[[Transaction], object]) -> None:
    with store.transaction() as work:
        what(work)


def _time(name: str, action: Callable[[], object], *, rounds: int = ROUNDS) -> None:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        action()
        taken.append((time.perf_counter() - began) * 1000)
    print(f"  {name:24} p50 {statistics.median(taken):7.1f} ms   slowest {max(taken):7.1f} ms")


def _bytes(server: PostgresServer, url: str) -> int:
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        return sum(path.stat().st_size for path in file.parent.glob(file.name + "*"))
    ((size,),) = server.execute("SELECT pg_database_size(current_database())")
    return int(size)


if __name__ == "__main__":
    main()
