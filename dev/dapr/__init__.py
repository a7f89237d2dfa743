"""Dapr without containers: its three programs, the control plane and one sidecar per app."""

from dev.dapr.binaries import (
    DAPR_VERSION,
    HOW_TO_INSTALL,
    DaprBinaries,
    DaprMissing,
    ensure_dapr,
    find_dapr,
)
from dev.dapr.control_plane import ControlPlane, Placement, Scheduler
from dev.dapr.sidecar import Sidecar

__all__ = [
    "DAPR_VERSION",
    "HOW_TO_INSTALL",
    "ControlPlane",
    "DaprBinaries",
    "DaprMissing",
    "Placement",
    "Scheduler",
    "Sidecar",
    "ensure_dapr",
    "find_dapr",
]
