"""Runs Python as one whom the modes of files bind, also where the tests run as root."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SECONDS = 30.0

# Root ignores modes and owners by three capabilities; what is started without them does not.
AS_A_USER = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER = 24, 1, 2, 3
if os.geteuid() == 0:
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER):
        if ctypes.CDLL(None, use_errno=True).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            sys.exit(f"cannot drop a capability: {os.strerror(ctypes.get_errno())}")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def run_as_a_user(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments, in the folder in which the test stands."""
    if os.geteuid() == 0 and sys.platform != "linux":
        pytest.skip("MISSING a user whom modes bind: the tests run as root")
    return subprocess.run(
        [sys.executable, "-c", AS_A_USER, *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
