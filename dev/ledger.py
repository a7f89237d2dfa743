"""What each stage of `make test` really ran: written by the tests' conftest, read by the suite."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

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
    failures: tuple[str, ...] = ()
    """Which tests failed, as pytest takes their names."""
    unsteady: tuple[str, ...] = ()
    """Which of them passed when they ran again, alone."""

    def __add__(self, other: StageResult) -> StageResult:
        ran = {*self.backends, *other.backends}
        return StageResult(
            passed=self.passed + other.passed,
            failed=self.failed + other.failed,
            skipped=self.skipped + other.skipped,
            backends=tuple(backend for backend in BACKENDS if backend in ran),
            failures=self.failures + other.failures,
            unsteady=self.unsteady + other.unsteady,
        )

    def after(self, again: StageResult) -> StageResult:
        """Return this result after its failed tests ran again, and ``again`` came of it."""
        passed = tuple(test for test in self.failures if test not in again.failures)
        return replace(
            self,
            passed=self.passed + len(passed),
            failed=again.failed,
            failures=again.failures,
            unsteady=self.unsteady + passed,
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
    known: dict[str, Any] = {f.name: facts[f.name] for f in fields(StageResult)}
    lists = {name: tuple(fact) for name, fact in known.items() if isinstance(fact, list)}
    return StageResult(**(known | lists))
