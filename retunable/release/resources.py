"""The documents of a Dapr resources folder, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Resource:
    """One document of a resources folder, whatever its kind."""

    file: Path
    kind: str
    name: str
    body: Mapping[str, Any]

    @property
    def spec(self) -> Mapping[str, Any]:
        spec = self.body.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def type(self) -> str:
        """A component's type, like ``configuration.redis``."""
        return str(self.spec.get("type", ""))

    def metadata(self, name: str) -> str | None:
        """Return a metadata item that is written down in plain, as text."""
        entry = self.entry(name)
        return None if entry is None or "value" not in entry else plain_text(entry["value"])

    def entry(self, name: str) -> Mapping[str, Any] | None:
        """Return a metadata item as it is written, a reference to a secret too."""
        entries = self.spec.get("metadata")
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and str(entry.get("name", "")).lower() == name.lower():
                return entry
        return None


@dataclass(frozen=True, slots=True)
class Resources:
    """All of a folder; ``broken`` are files that daprd would skip, with the reason."""

    folder: Path
    found: tuple[Resource, ...]
    broken: Mapping[str, str] = field(default_factory=dict)

    def components(self, kind: str) -> tuple[Resource, ...]:
        """Return the components whose type begins with ``kind``, like ``state.``."""
        return tuple(r for r in self.found if r.kind == "Component" and r.type.startswith(kind))

    def of_kind(self, kind: str) -> tuple[Resource, ...]:
        """Return everything of one kind, like ``Resiliency``."""
        return tuple(r for r in self.found if r.kind == kind)


def plain_text(value: Any) -> str:
    """Return a YAML scalar as the text that daprd makes of it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
