"""The exit codes of ``retune``, which scripts rely on, and the exception that carries one."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_CONFIRMED = 3
    DRIFT = 3
    REJECTED = 4
    FINDINGS = 5
    INTERRUPTED = 130
    UNREAD = 141


EXIT_CODES_TEXT: Final = (
    "Exit codes: 0 done; 1 error, nothing was written; 2 wrong usage or an invalid value, nothing "
    "was written; 3 written, but no running agent confirmed it, or --check found drift; 4 written, and the agent rejects "
    "it; 5 doctor or audit --verify found an error; 130 interrupted; 141 whoever read the output "
    "went away, done or not."
)


class Stop(Exception):
    """Ends a command with a message and an exit code; ``facts`` go into the JSON form."""

    def __init__(self, message: str, code: ExitCode = ExitCode.ERROR, **facts: Any) -> None:
        super().__init__(message)
        self.code = code
        self.facts = facts
