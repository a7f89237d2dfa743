"""Keeps one snapshot fresh: reads, hints, status, the last good configuration on disk.

Nothing here imports gRPC or Dapr but ``sidecar`` and ``dapr_store``, which whoever wires an
agent imports by name.
"""

from retunable.live.configuration import LiveConfiguration
from retunable.live.health import LiveStatus, Reason, Status
from retunable.live.store import (
    ConfigurationStore,
    FailureKind,
    HintStream,
    StoreDescription,
    StoreFailure,
    StreamEnded,
)
from retunable.live.stream_health import StreamState
from retunable.live.subscription import ConfigSubscription, Timings

__all__ = [
    "ConfigSubscription",
    "ConfigurationStore",
    "FailureKind",
    "HintStream",
    "LiveConfiguration",
    "LiveStatus",
    "Reason",
    "Status",
    "StoreDescription",
    "StoreFailure",
    "StreamEnded",
    "StreamState",
    "Timings",
]
