"""One thing that the doctor has seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is: an error keeps changes or runs from working, a warning will some day."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen of a subject; ``mend`` is the line to type or write, empty where all is well."""

    subject: str
    severity: Severity
    seen: str
    mend: str = ""


def ok(subject: str, seen: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(subject, Severity.OK, seen)


def warning(subject: str, seen: str, mend: str) -> Finding:
    """Say that something will do harm some day."""
    return Finding(subject, Severity.WARNING, seen, mend)


def error(subject: str, seen: str, mend: str) -> Finding:
    """Say that something does not work."""
    return Finding(subject, Severity.ERROR, seen, mend)
