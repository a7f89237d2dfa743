"""A deployment as the document that agents read: a pure function of its row, its config and the key.

Equal rows give equal bytes, and Ed25519 equal signatures, so publishing again is no change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from retunable.config.document import parse_document
from retunable.config.items import Item, Unreadable
from retunable.release.documents import json_text
from retunable.release.landing import Publication
from retunable.release.publishing.site import Site, Standing
from retunable.release.signing import SigningKey
from retunable.release.store.moments import stamp
from retunable.release.store.parts import Canary, Parts
from retunable.release.store.records import Deployment

MIN_RETUNABLE: Final = "0.1.0"
"""The first package that reads envelope v1."""


def document_of(
    deployment: Deployment, configs: Mapping[int, Mapping[str, Any]], key: SigningKey | None
) -> dict[str, Any]:
    """Return a deployment's envelope; a tombstone where it has no version (a reset).

    ``configs`` are those of its versions, as ``settling.configs_of`` gives them.
    """
    owner = {
        "retunable": 1,
        "agent": deployment.agent,
        "environment": deployment.environment,
        "generation": deployment.generation,
    }
    if deployment.version is None:
        tombstone = {**owner, "reset": True}
        return tombstone if key is None else key.signed(tombstone)
    parts = Parts.of(deployment)
    stable = Canary(deployment.version, deployment.checksum or "")
    envelope = {
        **owner,
        "published_at": stamp(deployment.stamp.at),
        "min_retunable": MIN_RETUNABLE,
        "stable": _variant(stable, configs),
        "canary": parts.canary and _variant(parts.canary, configs),
        "rollout": parts.rollout,
        "flags": list(parts.flags),
        "revoked": list(parts.revoked),
        # Left out where there are none: then the envelope is one that knows nothing of them.
        **({"overrides": dict(parts.overrides)} if parts.overrides else {}),
        "signature": None,
    }
    return envelope if key is None else key.signed(envelope)


def publication_of(
    site: Site, deployment: Deployment, document: Mapping[str, Any], standing: Standing
) -> Publication:
    """Return how a deployment is published, by whoever does it.

    What its first publisher was shown was written down with it, so that another one, after a
    crash, clears the same overrides with the same values and nothing else. Of the document only a
    hash was kept: where it fits what stands now, that is what was seen.
    """
    shown = deployment.data
    unseen = Item("") if shown.get("seen") is not None else None
    return Publication(
        key=site.document,
        text=json_text(document),
        generation=deployment.generation,
        seen=standing.document if seen_hash(standing.document) == shown.get("seen") else unseen,
        overrides={key: pair and Item(*pair) for key, pair in shown.get("overrides", {}).items()},
        exact=document.get("canary") is not None,
    )


def shown_data(site: Site, standing: Standing, *, keep_overrides: bool) -> dict[str, Any]:
    """Return what to write down of what a publisher was shown; None for a key without an item."""
    cleared = {} if keep_overrides else dict.fromkeys(site.field_keys.values())
    return {
        "seen": seen_hash(standing.document),
        "overrides": {
            key: [item.value, item.version]
            if isinstance(item := standing.overrides.get(key), Item)
            else None
            for key in cleared
        },
    }


def seen_hash(item: Item | Unreadable | None) -> str | None:
    """Return what tells one document from another without keeping it."""
    match item:
        case None:
            return None
        case Unreadable():
            return "unreadable"
        case Item(value, version):
            return hashlib.sha256(json.dumps([value, version]).encode()).hexdigest()


def check_readable(site: Site, text: str) -> None:
    """Raise Refused unless agents of a program without constraints of its own can take it."""
    parse_document(text, site.declaration)


def _variant(variant: Canary, configs: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "version": variant.version,
        "checksum": variant.checksum,
        "config": configs[variant.version],
    }
