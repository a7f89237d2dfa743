"""One write that a command is about, before anybody carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from retunable.cli.expectation import Expectation
from retunable.config.items import Items
from retunable.release.writer import Change, Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """What to write and what it should bring about.

    ``fields`` are the names of the fields that it is about, ``wanted`` the values that some of
    them should take. ``shown`` is what stood when it was decided on, where somebody looked. A reset
    puts a tombstone in the document's place; where it ``keeps_others``, field keys stay that it
    does not name.
    """

    action: Literal["set", "unset", "reset"]
    changes: Mapping[str, Change]
    expectations: tuple[Expectation, ...]
    fields: tuple[str, ...]
    wanted: Mapping[str, Any] = field(default_factory=dict)
    shown: Items | None = None
    expect: Expected | None = None
    keeps_others: bool = False
