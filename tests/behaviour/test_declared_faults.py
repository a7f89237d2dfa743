"""Which faults each backend can have, written down a second time: no test vanishes silently."""

from __future__ import annotations

from tests.behaviour.backend import Fault
from tests.behaviour.conftest import BACKENDS

ANYWHERE = {Fault.SIDECAR_KILLED, Fault.SIDECAR_TERMINATED, Fault.SIDECAR_PAUSED}
BEHIND_DAPRD = ANYWHERE | {
    Fault.STORE_KILLED,
    Fault.LISTENER_BROKEN,
    Fault.NOTIFICATIONS_OFF,
    Fault.COMPONENT_EDITED,
}
EXPECTED = {
    "embedded": ANYWHERE,
    "redis": BEHIND_DAPRD
    | {
        Fault.STORE_KILLED_FLAGS_LOST,
        Fault.STORE_PAUSED,
        Fault.NO_CONFIG_RIGHT,
        Fault.NO_CHANNEL_RIGHT,
    },
    "postgresql": BEHIND_DAPRD | {Fault.STORE_RESTARTED},
}


def test_every_backend_declares_the_faults_that_it_can_have() -> None:
    assert {name: set(backend.faults) for name, backend in BACKENDS.items()} == EXPECTED


def test_every_fault_befalls_some_backend() -> None:
    assert set().union(*(backend.faults for backend in BACKENDS.values())) == set(Fault)
