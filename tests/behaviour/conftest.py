"""The backends of the suite, and a lab on one of them for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.behaviour.agent_settings import AgentSettings
from tests.behaviour.backend import Backend, BackendName, Fault
from tests.behaviour.embedded_backend import EmbeddedBackend
from tests.behaviour.lab import Lab
from tests.behaviour.measured import show_measured
from tests.behaviour.outages import SCENARIOS, Outages
from tests.behaviour.postgres_backend import PostgresBackend
from tests.behaviour.redis_backend import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.behaviour.agent_process import AgentProcess

BACKENDS: dict[BackendName, type[Backend]] = {
    "embedded": EmbeddedBackend,
    "redis": RedisBackend,
    "postgresql": PostgresBackend,
}
# What must be on the machine; Python itself is.
NEEDED_FIXTURES: dict[BackendName, tuple[str, ...]] = {
    "embedded": (),
    "redis": ("dapr_binaries", "redis_program"),
    "postgresql": ("dapr_binaries", "postgres_program"),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on every backend, and a test of a fault on those that can have it."""
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize(
            ("backend_type", "fault"), _faults(), indirect=["backend_type"], scope="session"
        )
    elif "backend_type" in metafunc.fixturenames:
        state_server = "state_server" in metafunc.fixturenames
        names = [n for n, b in BACKENDS.items() if b.state_server or not state_server]
        metafunc.parametrize("backend_type", _backends(names), indirect=True, scope="session")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """With `--dist loadgroup` a backend is a group: each has a worker of its own."""
    if config.getoption("dist") != "loadgroup":
        return None
    from tests.behaviour.scheduling import ByBackend

    return ByBackend(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    show_measured(terminalreporter)


def _backends(names: Sequence[BackendName]) -> list[object]:
    return [pytest.param(name, marks=getattr(pytest.mark, name), id=name) for name in names]


def _faults() -> list[object]:
    return [
        pytest.param(name, fault, marks=getattr(pytest.mark, name), id=f"{name}-{fault.value}")
        for name, backend in BACKENDS.items()
        for fault in Fault
        if fault in backend.faults
    ]


@pytest.fixture(scope="session")
def backend_type(request: pytest.FixtureRequest) -> type[Backend]:
    """The backend of this test, which must be there: skipped loudly where it is not.

    Its long outages begin with its first test, to run beside all others.
    """
    name: BackendName = request.param
    for part in NEEDED_FIXTURES[name]:
        request.getfixturevalue(part)
    for scenario in _scenarios_asked_for(request.session.items, name):
        request.getfixturevalue("outages").begin(scenario, BACKENDS[name])
    return BACKENDS[name]


@pytest.fixture(scope="session")
def state_server(backend_type: type[Backend]) -> None:
    """Asked for by a test for backends whose state store is a server of its own."""
    assert backend_type.state_server


def _scenarios_asked_for(items: Sequence[pytest.Item], backend: BackendName) -> set[str]:
    return {
        scenario
        for item in items
        if backend in item.keywords
        for scenario in set(SCENARIOS).intersection(getattr(item, "fixturenames", ()))
    }


@pytest.fixture(scope="session")
def outages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outages]:
    """Outages that take a minute each."""
    under_way = Outages(tmp_path_factory.mktemp("outages"))
    yield under_way
    under_way.close()


@pytest.fixture(scope="module")
def shared_backend(
    backend_type: type[Backend], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    """A backend that outlives one test, for tests that do it no harm."""
    directory = tmp_path_factory.mktemp("backend")
    with backend_type.create(directory, separate_state=True) as running:
        yield running


@pytest.fixture
def lab(shared_backend: Backend, tmp_path: Path) -> Iterator[Lab]:
    """A lab on an empty store; no agent yet."""
    with Lab(shared_backend, tmp_path) as running:
        yield running
    shared_backend.wipe()


@pytest.fixture(scope="module")
def standing_settings() -> AgentSettings:
    """How the agent of a module's tests is set; a module may say otherwise."""
    return AgentSettings()


@pytest.fixture(scope="module")
def standing_lab(
    shared_backend: Backend, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """A lab for all tests of a module, which write no configuration."""
    with Lab(shared_backend, tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="module")
def standing_agent(standing_lab: Lab, standing_settings: AgentSettings) -> AgentProcess:
    """One agent for all tests of a module, which leave it running."""
    return standing_lab.start_agent(standing_settings)


@pytest.fixture
def own_lab(backend_type: type[Backend], tmp_path: Path) -> Iterator[Lab]:
    """A lab on a backend of its own, which may be broken."""
    with (
        backend_type.create(tmp_path / "backend", separate_state=True) as backend,
        Lab(backend, tmp_path) as running,
    ):
        yield running


@pytest.fixture
def plain_lab(backend_type: type[Backend], tmp_path: Path) -> Iterator[Lab]:
    """A lab on a store that is set up as Dapr's documentation does."""
    with (
        backend_type.create(tmp_path / "backend", separate_state=True, plain=True) as backend,
        Lab(backend, tmp_path) as running,
    ):
        yield running


@pytest.fixture
def agent(lab: Lab) -> AgentProcess:
    """The agent under test with the defaults of the library, READY and listening."""
    started = lab.start_agent()
    started.wait_live()
    return started
