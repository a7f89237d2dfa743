"""What keeps a site from being published to, whatever is to be published."""

from __future__ import annotations

from typing import Any

from retunable.config.items import Item, Unreadable
from retunable.config.jsontext import JsonTextError, parse_json
from retunable.release.publishing.outcomes import Unpublishable
from retunable.release.publishing.site import ControlPlane, Site, Standing


def refusal(
    plane: ControlPlane, site: Site, keep_overrides: bool, standing: Standing
) -> Unpublishable | None:
    """Say why nothing may be published where this stands; None where it may.

    One store and prefix belongs to one agent in one environment; a signed release is not followed
    by an unsigned one by accident; and an override that nobody can read was shown to nobody.
    """
    published = _document(standing.document)
    owner = (published.get("agent"), published.get("environment"))
    if "retunable" in published and owner != (site.agent, site.environment):
        return Unpublishable(
            f"{site.document} holds a release of agent {owner[0]!r:.80} in {owner[1]!r:.80}; give "
            "each agent and environment of one store a prefix of its own"
        )
    if published.get("signature") and plane.key is None:
        return Unpublishable(
            f"what is published at {site.document} is signed; name the signing key, or agents that "
            "take only signed releases will refuse this one"
        )
    for key, item in standing.overrides.items():
        if isinstance(item, Unreadable) and not keep_overrides:
            return Unpublishable(f"{key} {item.reason}; take it away first: retune unset {key}")
    return None


def _document(item: Item | Unreadable | None) -> dict[str, Any]:
    if not isinstance(item, Item):
        return {}
    try:
        value = parse_json(item.value)
    except JsonTextError:
        return {}
    return value if isinstance(value, dict) else {}
