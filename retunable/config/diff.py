"""What differs between two configs, field by field, in the order of the fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retunable.config.agent_config import AgentConfig
from retunable.config.fields import FIELDS


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs: its name, its store key, and both values as JSON values."""

    field: str
    key: str
    old: Any
    new: Any


def diff(old: AgentConfig, new: AgentConfig) -> tuple[Change, ...]:
    """Return every field whose value differs; empty where the configs are equal."""
    before, after = old.to_json(), new.to_json()
    return tuple(
        Change(field.name, field.key, before[field.name], after[field.name])
        for field in FIELDS
        if before[field.name] != after[field.name]
    )
