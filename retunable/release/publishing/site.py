"""Where one agent of one environment is published, and what the control plane acts with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from retunable.config.agent_config import AgentConfig
from retunable.config.constraints import Constraints
from retunable.config.declaration import Declaration, document_key_of
from retunable.config.fields import FIELDS
from retunable.config.items import Item, Unreadable
from retunable.errors import ConfigurationError
from retunable.release.publishing.outcomes import ProgramRefuses
from retunable.release.signing import SigningKey
from retunable.release.store.release_store import ReleaseStore
from retunable.release.writer import Publisher


@dataclass(frozen=True, kw_only=True)
class Site:
    """One agent in one environment, and its keys in the configuration store.

    ``document_key`` is the one that the agent's name gives, unless its program says otherwise.
    """

    agent: str
    environment: str = "default"
    prefix: str = ""
    document_key: str = ""

    @cached_property
    def document(self) -> str:
        """The full store key of the agent's document."""
        key = self.document_key or document_key_of(self.agent)
        if not key:
            raise ConfigurationError(
                f"the name {self.agent!r} gives no document key; name the one of its program"
            )
        return self.prefix + key

    @cached_property
    def field_keys(self) -> dict[str, str]:
        """Full store key of each field, by field name."""
        return {field.name: self.prefix + field.key for field in FIELDS}

    @cached_property
    def declaration(self) -> Declaration:
        """The agent as its program would declare it, without defaults and constraints of its own."""
        return Declaration(
            agent=self.agent,
            environment=self.environment,
            defaults=AgentConfig(),
            constraints=Constraints(),
            document_key=self.document.removeprefix(self.prefix),
            prefix=self.prefix,
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in the configuration store at a site: the document and the field keys."""

    document: Item | Unreadable | None
    overrides: Mapping[str, Item | Unreadable]


class Program(Protocol):
    """The program behind an agent, as somebody reaches it."""

    def refusal(self, document: Mapping[str, Any]) -> ProgramRefuses | None:
        """Return why it would refuse a document; None where it takes it or cannot be asked."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """What operations act with: both stores, a signing key where one is configured.

    ``claimed`` is whom the caller names beside the one who is logged in. ``program`` is asked
    before anything else becomes active; None asks nobody.
    """

    store: ReleaseStore
    publisher: Publisher
    key: SigningKey | None = None
    claimed: str | None = None
    program: Program | None = None


def look(plane: ControlPlane, site: Site) -> Standing:
    """Read what stands at a site; raises StoreWriteError where it cannot be read."""
    items = plane.publisher.read([site.document, *site.field_keys.values()])
    overrides = {key: item for key, item in items.items() if key != site.document}
    return Standing(items.get(site.document), overrides)
