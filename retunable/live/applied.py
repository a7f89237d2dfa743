"""The log contract: one line for each field that a new snapshot applies, by its store key.

Pure. Rejections are told once each. Secrets never come here: the core keeps name and length.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from retunable.config.rejection import Rejection
from retunable.config.snapshot import Snapshot

_LONGEST_VALUE: Final = 200


def applied_lines(
    old: Snapshot | None, new: Snapshot, *, field_keys: Mapping[str, str]
) -> list[str]:
    """Return the lines for the fields whose value or source is another than before.

    ``field_keys`` is the full store key of each field, by its name. Before the first snapshot
    the code defaults count as known.
    """
    values = new.config.to_json()
    before = old.config.to_json() if old else {}
    lines = []
    for name, key in field_keys.items():
        source = new.provenance[name]
        known = (old.provenance[name].layer, old.provenance[name].key) if old else ("default", None)
        same_source = known == (source.layer, source.key)
        same_value = old is None or before[name] == values[name]
        if not (same_source and same_value):
            lines.append(f"Agent {new.agent} applying config update: {key}={cut(values[name])}")
    return lines


def rejected_lines(old: Snapshot | None, new: Snapshot) -> list[str]:
    """Return the lines for rejections that were not there before."""
    known = old.rejected if old else ()
    return [_rejected_line(new.agent, one) for one in new.rejected if one not in known]


def cut(value: object) -> str:
    """Return a value as JSON of at most about 200 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _rejected_line(agent: str, rejection: Rejection) -> str:
    kept = "the last good value stays" if rejection.kept else "the layer below shows"
    return (
        f"Agent {agent} rejected config update: {rejection.key}: "
        f"{rejection.reason} ({rejection.code}); {kept}"
    )
