"""Many processes write at once: no number twice or left out, no entry lost, one chain."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from dev.resources import CHECKOUT
from retunable.release.store import deployments, versions
from retunable.release.store.audit import entries
from retunable.release.store.verifying import verify
from tests.contract.racing import PROCESSES, ROUNDS
from tests.contract.release.program import PLACES

if TYPE_CHECKING:
    from tests.contract.release.homes import Home


@pytest.fixture
def printed(home: Home) -> list[str]:
    """What the processes printed, all of them started together."""
    with ExitStack() as stack:
        racing = [stack.enter_context(started(home, f"p{n}")) for n in range(PROCESSES)]
        for process in racing:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in racing:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=500) for process in racing]
    assert [process.returncode for process in racing] == [0] * PROCESSES, outputs
    return [line for out, _ in outputs for line in out.splitlines()]


def started(home: Home, name: str) -> subprocess.Popen[str]:
    program = [sys.executable, "-m", "tests.contract.release.program"]
    return subprocess.Popen(
        [*program, "race", home.url, name, str(ROUNDS)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_racing_writers_leave_no_gap_and_one_chain(home: Home, printed: list[str]) -> None:
    activated = [line for line in printed if line.startswith("activated")]
    with home.open() as store, store.snapshot() as work:
        assert verify(work).problems == ()
        actions = [entry.action for entry in entries(work)]
        numbers = {a: [v.number for v in versions.versions(work, a)] for a, _ in PLACES}
        history = {a: deployments.deployments(work, a, environment=e) for a, e in PLACES}

    assert actions.count("save") == PROCESSES * ROUNDS
    assert actions.count("activate") == actions.count("confirm") == len(activated)
    assert sum(len(found) for found in numbers.values()) == PROCESSES * ROUNDS
    for found in numbers.values():
        assert found == list(range(len(found), 0, -1))
    for agent, deployed in history.items():
        generations = [deployment.generation for deployment in deployed]
        assert generations == list(range(len(generations), 0, -1))
        told = {int(line.split()[2]) for line in activated if line.split()[1] == agent}
        assert told == set(generations)
    assert len(printed) == PROCESSES * ROUNDS
