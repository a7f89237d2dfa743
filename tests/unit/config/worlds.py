"""One declared agent and the items and documents that the config tests offer it."""

from __future__ import annotations

import json
from typing import Any

from retunable.config.agent_config import config_from
from retunable.config.build import Built, build
from retunable.config.checksum import checksum
from retunable.config.constraints import Constraints
from retunable.config.declaration import declare
from retunable.config.items import Item, Items, StoreKind
from retunable.config.last_good import LastGood

DEFAULTS = config_from(
    {
        "role": "Research Assistant",
        "goal": "Help with research",
        "model": "offline",
        "provider": "offline",
        "max_iterations": 10,
    }
)
CONSTRAINTS = Constraints(
    models={"offline": ["offline"], "openai": ["gpt-small", "gpt-large"]},
    max_iterations=500,
    max_tokens=4000,
    registered_tools=("search", "calculate"),
    registered_providers=("offline", "openai"),
)
AGENT = declare("config-aware-agent", defaults=DEFAULTS, constraints=CONSTRAINTS)
DOCUMENT = AGENT.document


def items(**texts: str) -> dict[str, Item]:
    """Items by store key."""
    return {key: Item(text) for key, text in texts.items()}


def document(value: object, **others: str) -> dict[str, Item]:
    """The agent's document, as JSON or as given text, beside field keys."""
    text = value if isinstance(value, str) else json.dumps(value)
    return {DOCUMENT: Item(text), **items(**others)}


def version_config(**values: Any) -> dict[str, Any]:
    """A complete config as a version stores it."""
    complete = DEFAULTS.to_json() | {"tools": ["search", "calculate"]}
    return complete | values


def variant(number: int = 1, **values: Any) -> dict[str, Any]:
    """A version inside an envelope, its checksum right."""
    config = version_config(**values)
    return {"version": number, "checksum": checksum(config), "config": config}


def envelope(generation: int = 1, **parts: Any) -> dict[str, Any]:
    """A valid envelope v1; ``parts`` replace its members."""
    whole = {
        "retunable": 1,
        "agent": AGENT.agent,
        "environment": "default",
        "generation": generation,
        "published_at": "2026-11-01T00:00:00Z",
        "min_retunable": "0.1.0",
        "stable": variant(),
        "canary": None,
        "rollout": None,
        "flags": [],
        "revoked": [],
        "signature": None,
    }
    return whole | parts


def tombstone(generation: int = 1, **parts: Any) -> dict[str, Any]:
    """A valid tombstone; ``parts`` replace its members."""
    return {
        "retunable": 1,
        "reset": True,
        "agent": AGENT.agent,
        "environment": "default",
        "generation": generation,
    } | parts


def built(
    offered: Items, *, after: Items | None = None, store: StoreKind = "other", whole: bool = True
) -> Built:
    """Build from ``offered``, remembering what ``after`` had been good for."""
    last_good = LastGood() if after is None else build(AGENT, after).last_good
    return build(AGENT, offered, last_good=last_good, store=store, whole=whole)


def codes(result: Built) -> dict[str, str]:
    """Rejection codes by store key."""
    return {rejection.key: rejection.code for rejection in result.snapshot.rejected}
