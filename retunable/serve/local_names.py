"""Which host names mean this machine and nothing else."""

from __future__ import annotations

import ipaddress


def is_local_name(host: str) -> bool:
    """Tell whether a host without port names this machine and nothing else."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
