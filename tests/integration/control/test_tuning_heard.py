"""``set``, ``unset`` and ``reset`` wait for replicas that no file of this folder tells of."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from retunable.cli.exits import ExitCode
from tests.integration.control.world import World

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]
THERE = ("--agent", "support", "--env", "default")
PATIENT = (*THERE, "--timeout", "40")


def outcomes(said: dict[str, Any]) -> list[str]:
    return [one["outcome"] for one in said["replicas"]]


def test_a_write_from_another_folder_is_waited_for_on_every_live_replica(
    world: World, tmp_path: Path
) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "batch.json").write_text(json.dumps({"temperature": 1, "goal": "Help"}))
    world.control()
    lenient, strict = world.replica(), world.replica(limit=10, beat_seconds=60)
    world.replica("billing", environment="staging", prefix="b/")
    world.wait_live(2)
    world.wait_live(1, "billing", "staging")

    def tune(*words: str, code: int = 0) -> dict[str, Any]:
        return world.retune_json(*words, code=code, folder=elsewhere)

    taken = tune("set", "llm_temperature", "0.5", *PATIENT)
    assert sorted(one["replica"].rpartition(":")[2] for one in taken["replicas"]) == sorted(
        str(one.process.pid) for one in (lenient, strict)
    )
    assert (outcomes(taken), taken["confirmed"]) == (["applied", "applied"], True)

    # The agent runs on the same as before, so that only what it read tells that it read this.
    assert outcomes(tune("set", "llm_temperature", "0.50", *PATIENT)) == ["applied", "applied"]

    refused = tune("set", "max_iterations", "20", *PATIENT, code=ExitCode.REJECTED)
    [reason] = [one["reason"] for one in refused["replicas"] if one["outcome"] == "rejected"]
    assert "max_iterations" in reason

    assert outcomes(tune("unset", "max_iterations", *PATIENT)) == ["applied", "applied"]
    said = world.retune("set", "--file", "batch.json", *PATIENT, folder=elsewhere).stdout
    assert "temperature stay covered by field keys" in said
    assert "all 2 live replicas took it within" in said

    strict.process.send(signal.SIGSTOP)
    missing = tune(
        *("set", "agent_role", "Again", *THERE, "--timeout", "1"), code=ExitCode.NOT_CONFIRMED
    )
    [silent] = [one["replica"] for one in missing["replicas"] if one["outcome"] != "applied"]
    assert silent.endswith(f":{strict.process.pid}")
    strict.process.send(signal.SIGCONT)

    assert outcomes(tune("reset", "--yes", *PATIENT)) == ["applied", "applied"]
    [billing] = world.live("billing", "staging")
    assert (billing.items, billing.rejected) == ((), ())
