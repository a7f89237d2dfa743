"""The figures that tests measure, shown at the end of a run beside their test."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import pytest

# What pytest's fixture `record_property` is.
RecordProperty: TypeAlias = Callable[[str, object], None]


def show_measured(terminal: pytest.TerminalReporter) -> None:
    """Write one line for each figure that a passed test recorded."""
    reports = [r for r in terminal.stats.get("passed", ()) if r.user_properties]
    if not reports:
        return
    terminal.section("measured")
    for report in reports:
        figures = ", ".join(f"{name} {value}" for name, value in report.user_properties)
        terminal.line(f"{report.nodeid.rpartition('::')[2]}: {figures}")
