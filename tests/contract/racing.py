"""How many processes race in the contract suites, and how often each writes."""

from __future__ import annotations

import os
from typing import Final

# The whole of it, 20 × 50, takes a minute and more for each pair of stores on two cores.
SIZE: Final = os.environ.get("RETUNABLE_RACE", "4x5")
PROCESSES, ROUNDS = (int(number) for number in SIZE.split("x"))
