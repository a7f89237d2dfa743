"""Takes a canary back in the configuration store alone: no release store, no controller.

What stands is published again one generation on, without the canary and with its checksum revoked.
Whoever publishes from the release store afterwards finds the revocation and keeps to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from retunable.config.items import Item, Unreadable
from retunable.config.jsontext import JsonTextError, parse_json
from retunable.errors import StoreWriteError
from retunable.release.documents import json_text, stored_document
from retunable.release.landing import Landed, Publication
from retunable.release.publishing.outcomes import Unpublishable
from retunable.release.publishing.site import Site, Standing
from retunable.release.signing import SigningKey
from retunable.release.store.parts import Parts
from retunable.release.writer import Publisher

ATTEMPTS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborted:
    """The canary is gone from the document of this generation; ``checksum`` is revoked there."""

    generation: int
    rollout: str | None
    checksum: str


@dataclass(frozen=True, slots=True)
class NoCanary:
    """What stands has no canary; nothing was written."""


def abort(
    publisher: Publisher, site: Site, *, key: SigningKey | None = None
) -> Aborted | NoCanary | Unpublishable:
    """Take the canary of what stands back from everybody.

    Raises:
        StoreWriteError: the store is away or refuses; the same call again is safe.
    """
    for _ in range(ATTEMPTS):
        seen = publisher.read([site.document]).get(site.document)
        document = _envelope(seen)
        if document is None or document.get("canary") is None:
            return NoCanary()
        if (refusal := _refusal(document, site, key)) is not None:
            return refusal
        aborted = _aborted(document, generation=stored_document(seen).generation + 1)
        text = json_text(aborted if key is None else key.signed(aborted))
        publication = Publication(
            key=site.document, text=text, generation=aborted["generation"], seen=seen, exact=True
        )
        if isinstance(publisher.publish(publication), Landed):
            return _told(document, aborted["generation"])
    raise StoreWriteError(
        f"others published {site.document} {ATTEMPTS} times in between; run it again"
    )


def is_aborted(standing: Standing, parts: Parts) -> bool:
    """Tell whether what stands has taken back the canary that these parts carry."""
    document = _envelope(standing.document)
    if parts.canary is None or document is None:
        return False
    revoked = document.get("revoked")
    return isinstance(revoked, list) and parts.canary.checksum in revoked


def _envelope(item: Item | Unreadable | None) -> dict[str, Any] | None:
    if not isinstance(item, Item) or stored_document(item).kind != "envelope":
        return None
    try:
        value = parse_json(item.value)
    except JsonTextError:
        return None
    return value if isinstance(value, dict) else None


def _refusal(document: dict[str, Any], site: Site, key: SigningKey | None) -> Unpublishable | None:
    owner = (document.get("agent"), document.get("environment"))
    if owner != (site.agent, site.environment):
        return Unpublishable(
            f"{site.document} holds a release of agent {owner[0]!r:.80} in {owner[1]!r:.80}"
        )
    if document.get("signature") and key is None:
        return Unpublishable(
            f"what is published at {site.document} is signed; name the signing key, or agents that "
            "take only signed releases will refuse the abort"
        )
    return None


def _aborted(document: dict[str, Any], *, generation: int) -> dict[str, Any]:
    revoked = [*(document.get("revoked") or []), document["canary"]["checksum"]]
    return {
        **document,
        "generation": generation,
        "canary": None,
        "rollout": None,
        "revoked": list(dict.fromkeys(revoked)),
        "signature": None,
    }


def _told(document: dict[str, Any], generation: int) -> Aborted:
    rollout = document.get("rollout") or {}
    return Aborted(
        generation=generation,
        rollout=rollout.get("id"),
        checksum=document["canary"]["checksum"],
    )
