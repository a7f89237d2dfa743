"""`make test`: the linters, then the tests from the fast ones to those that measure time.

Every stage runs even when an earlier one failed. The last line names the backends on which tests
of the product really ran; where CI is set, one that is missing is a failure, and so is a stage
without a test.

Up to five tests of a stage that fail run once more, alone on the machine. One that passes then is
named as unsteady on the last lines and is no failure: it tells of the machine's load, or of a race
that is worth a look.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dev import ledger
from dev.dapr import DaprMissing, ensure_dapr
from dev.ledger import BACKENDS, LEDGER_VARIABLE, StageResult
from dev.resources import CHECKOUT

TESTS_FAILED, NO_TESTS_COLLECTED = 1, 5  # pytest's exit codes
MOST_RUN_AGAIN = 5


@dataclass(frozen=True, kw_only=True)
class Stage:
    name: str
    folders: tuple[str, ...]
    arguments: tuple[str, ...]


IN_ORDER = ("-p", "no:randomly")
STAGES = (
    Stage(name="unit", folders=("unit", "replay"), arguments=("-n", "2")),
    Stage(name="contract", folders=("contract",), arguments=("-n", "2")),
    # Each test has a stack of its own and waits for much of its time.
    Stage(
        name="integration",
        folders=("platform", "integration"),
        arguments=(*IN_ORDER, "-n", "2", "--dist", "loadfile"),
    ),
    # Alone on the machine and in order: these hold the program to times. They mostly wait, so the
    # backends run side by side, each in a worker of its own.
    Stage(
        name="behaviour",
        folders=("behaviour", "acceptance"),
        arguments=(*IN_ORDER, "-n", str(len(BACKENDS)), "--dist", "loadgroup"),
    ),
)
LINTERS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
)


def main() -> int:
    os.chdir(CHECKOUT)
    if sys.argv[1:] == ["--lint"]:
        failures = [linter for linter in LINTERS if not _lint(linter)]
        return 1 if failures else 0
    in_ci = bool(os.environ.get("CI"))
    problems: list[str] = []
    try:
        ensure_dapr(say=_say)
    except DaprMissing as missing:
        _say(f"WITHOUT DAPR: {missing}")
        problems += ["no Dapr"] if in_ci else []
    problems += [f"{' '.join(linter)}: failed" for linter in LINTERS if not _lint(linter)]
    total = StageResult()
    for stage in STAGES:
        result, problem = _run(stage, in_ci=in_ci)
        total += result
        problems += [problem] if problem else []
    problems += _missing(total, in_ci=in_ci)
    for problem in problems:
        _say(f"PROBLEM {problem}")
    for test in total.unsteady:
        _say(f"UNSTEADY {test}: failed first, passed alone")
    _say(f"total: {total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    _say(f"backends: {' '.join(total.backends) or 'none'}")
    return 1 if problems else 0


def _lint(linter: tuple[str, ...]) -> bool:
    _say(f"\n=== {' '.join(linter)}")
    program = Path(sys.executable).with_name(linter[0])
    return subprocess.run([program, *linter[1:]], check=False).returncode == 0


def _run(stage: Stage, *, in_ci: bool) -> tuple[StageResult, str | None]:
    folders = [f"tests/{name}" for name in stage.folders if Path("tests", name).is_dir()]
    _say(f"\n=== {stage.name}: {' '.join(folders) or 'no such folder'}")
    if not folders:
        return StageResult(), f"{stage.name}: no tests" if in_ci else None
    result, exit_code = _pytest(*stage.arguments, *folders)
    failures = result.failures
    if exit_code == TESTS_FAILED and len(failures) <= MOST_RUN_AGAIN:
        _say(f"\n=== {stage.name}: once more, alone: {' '.join(failures)}")
        again, exit_code = _pytest(*IN_ORDER, *failures)
        result = result.after(again) if exit_code in (0, TESTS_FAILED) else result
    return result, _problem(stage, exit_code, in_ci=in_ci)


def _pytest(*arguments: str) -> tuple[StageResult, int]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        pytest = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *arguments],
            check=False,
            env={**os.environ, LEDGER_VARIABLE: str(file)},
        )
        return ledger.read(file), pytest.returncode


def _problem(stage: Stage, exit_code: int, *, in_ci: bool) -> str | None:
    if exit_code == NO_TESTS_COLLECTED:
        return f"{stage.name}: no tests" if in_ci else None
    return f"{stage.name}: pytest ended with {exit_code}" if exit_code else None


def _missing(total: StageResult, *, in_ci: bool) -> list[str]:
    if total.ran == 0:
        return ["not one test ran"]
    missing = [backend for backend in BACKENDS if backend not in total.backends]
    return [f"backends not tested: {' '.join(missing)}"] if in_ci and missing else []


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
