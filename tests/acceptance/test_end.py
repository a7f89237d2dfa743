"""agent.py ends in seconds with exit 0, whatever state its sidecar is in."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dev.embedded import EmbeddedStack
    from dev.stack import Stack
    from tests.acceptance.program import AgentProgram

    AnyStack = Stack | EmbeddedStack

END_SECONDS = 5.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_ends_it(program: AgentProgram, number: signal.Signals) -> None:
    _assert_ends(program, number)


def test_sigterm_ends_it_when_its_sidecar_is_dead_already(
    stack: AnyStack, program: AgentProgram
) -> None:
    # As `dapr run` does it: daprd is killed first.
    stack.sidecar.kill()
    _assert_ends(program, signal.SIGTERM)


def test_sigterm_ends_it_when_its_sidecar_hangs(stack: AnyStack, program: AgentProgram) -> None:
    stack.sidecar.pause()
    _assert_ends(program, signal.SIGTERM)


def _assert_ends(program: AgentProgram, number: signal.Signals) -> None:
    began = time.monotonic()
    program.process.send(number)
    exit_code = program.process.wait(within_seconds=END_SECONDS)
    print(f"ended after {time.monotonic() - began:.2f} s")
    assert exit_code == 0, program.process.last_words()
    assert not list((program.folder / ".retunable" / "agents").glob("*.json"))
