"""What each stage of `make test` really ran: written by the tests' conftest, read by the suite."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

# Where the stage that runs now leaves its result; unset when pytest is called by hand.
LEDGER_VARIABLE = "RETUNABLE_TEST_LEDGER"

BACKENDS = ("embedded", "redis", "postgresql")
# A backend counts as tested when a test of the product ran on it, not when its server started.
COUNTED_FOLDERS = ("tests/contract/", "tests/integration/", "tests/behaviour/", "tests/acceptance/")


@dataclass(frozen=True, kw_only=True)
class StageResult:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    backends: tuple[str, ...] = ()

    def __add__(self, other: StageResult) -> StageResult:
        ran = {*self.backends, *other.backends}
        return StageResult(
            passed=self.passed + other.passed,
            failed=self.failed + other.failed,
            skipped=self.skipped + other.skipped,
            backends=tuple(backend for backend in BACKENDS if backend in ran),
        )

    @property
    def ran(self) -> int:
        return self.passed + self.failed


def write(result: StageResult) -> None:
    """Leave the result where the suite asked for it; do nothing when nobody asked."""
    file = os.environ.get(LEDGER_VARIABLE)
    if file:
        Path(file).write_text(json.dumps(asdict(result)))


def read(file: Path) -> StageResult:
    """Read a stage's result; a stage that left none ran nothing."""
    if not file.exists():
        return StageResult()
    facts = json.loads(file.read_text())
    known = {f.name: facts[f.name] for f in fields(StageResult)}
    return StageResult(**{**known, "backends": tuple(known["backends"])})
