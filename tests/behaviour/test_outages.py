"""Invariant 5 over a minute: what an agent serves while a part is away, and how it recovers.

The outages of all backends run beside each other and beside the other tests; each test judges one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.behaviour.lab import ANSWER
from tests.behaviour.outages import ROLE

if TYPE_CHECKING:
    from tests.behaviour.backend import Backend
    from tests.behaviour.measured import RecordProperty
    from tests.behaviour.outages import (
        Outages,
        SidecarAbsent,
        StateStoreAbsent,
        StoreAbsentAtStart,
    )

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

AT_ONCE_SECONDS = 5.0
# A state store that is away is found out by a write and by the read after it, 2 s each.
NOTICED_SECONDS = 5.0
APPLIED_SECONDS = 5.0
# daprd looks at its components every 60 s; then our own stream has to open.
RECOVERED_SECONDS = 65.0
STALE_SECONDS = 12.0


@pytest.fixture
def without_sidecar(outages: Outages, backend_type: type[Backend]) -> SidecarAbsent:
    outcome: SidecarAbsent = outages.outcome("without_sidecar", backend_type)
    return outcome


@pytest.fixture
def without_store(outages: Outages, backend_type: type[Backend]) -> StoreAbsentAtStart:
    outcome: StoreAbsentAtStart = outages.outcome("without_store", backend_type)
    return outcome


@pytest.fixture
def without_state_store(
    outages: Outages, backend_type: type[Backend], state_server: None
) -> StateStoreAbsent:
    outcome: StateStoreAbsent = outages.outcome("without_state_store", backend_type)
    return outcome


def test_without_a_sidecar_the_snapshot_is_served_stale(without_sidecar: SidecarAbsent) -> None:
    assert {config["config"]["role"] for config in without_sidecar.configs} == {ROLE}
    late = [c for c in without_sidecar.configs if c["age_seconds"] > STALE_SECONDS]
    assert len(late) >= 10
    assert {(config["status"], config["reason"]) for config in late} == {
        ("STALE", "sidecar_unreachable")
    }


def test_without_a_sidecar_runs_are_refused_at_once_with_the_reason(
    without_sidecar: SidecarAbsent,
) -> None:
    refusals = without_sidecar.refusals
    assert {refusal.status for refusal in refusals} == {503}
    assert {refusal.problem["part"] for refusal in refusals} == {"sidecar"}
    assert max(refusal.seconds for refusal in refusals) < AT_ONCE_SECONDS


def test_after_a_minute_without_sidecar_the_next_write_is_applied(
    without_sidecar: SidecarAbsent, record_property: RecordProperty
) -> None:
    record_property("applied_seconds", round(without_sidecar.applied_seconds, 3))
    assert without_sidecar.applied_seconds < APPLIED_SECONDS
    assert without_sidecar.answered["text"]


def test_a_run_from_before_a_minute_without_sidecar_goes_on(
    without_sidecar: SidecarAbsent,
) -> None:
    assert (without_sidecar.accepted["text"], without_sidecar.accepted["steps"]) == (ANSWER, 2)
    assert without_sidecar.asked == 2


def test_without_a_state_store_runs_are_refused_at_once_with_the_reason(
    without_state_store: StateStoreAbsent, record_property: RecordProperty
) -> None:
    refusals = without_state_store.refusals
    slowest = max(refusal.seconds for refusal in refusals)
    record_property("refused_seconds", round(slowest, 2))
    assert {refusal.status for refusal in refusals} == {503}
    assert {refusal.problem["part"] for refusal in refusals} == {"state store"}
    assert slowest < NOTICED_SECONDS


def test_without_a_state_store_the_configuration_is_live(
    without_state_store: StateStoreAbsent,
) -> None:
    told = {(config["status"], config["stream"]) for config in without_state_store.configs}
    assert told == {("READY", "live")}


def test_a_run_from_before_a_minute_without_state_store_goes_on(
    without_state_store: StateStoreAbsent,
) -> None:
    accepted = without_state_store.accepted
    assert (accepted["text"], accepted["steps"]) == (ANSWER, 2)
    assert without_state_store.asked == 2
    assert without_state_store.answered["text"]


def test_with_the_store_down_at_start_the_last_good_configuration_answers_stale(
    without_store: StoreAbsentAtStart,
) -> None:
    assert without_store.config["status"] == "STALE"
    assert without_store.config["config"]["role"] == ROLE
    assert without_store.answered["text"]
    assert ROLE in without_store.told


def test_a_store_that_returns_is_taken_up_without_help(
    without_store: StoreAbsentAtStart, record_property: RecordProperty
) -> None:
    record_property("recovered_seconds", round(without_store.recovered_seconds, 1))
    assert without_store.recovered_seconds <= RECOVERED_SECONDS
    assert without_store.recovered["stream"] == "live"
