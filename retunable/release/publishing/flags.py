"""Flags of a site: made, changed, taken away; each time a publication, fenced and audited as any.

A flag is what an envelope says of it, a JSON object (see ``config/flags.py``). Canary, rollout and
all else that is published are carried on.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.outcomes import FlagRefused, Outcome, Refusal
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.store import deployments
from retunable.release.store.database import Transaction
from retunable.release.store.parts import Parts

Flag = Mapping[str, Any]
FlagChange = Callable[[dict[str, Any]], Flag | FlagRefused]
"""Makes another flag of the one that stands, in the transaction that allots the generation."""


def flags_of(plane: ControlPlane, site: Site) -> tuple[Flag, ...]:
    """Return the flags of what is active; none without a release."""
    with plane.store.snapshot() as work:
        active = deployments.active(work, site.agent, environment=site.environment)
    return Parts.of(active).flags


def create_flag(plane: ControlPlane, site: Site, flag: Flag, *, reason: str) -> Outcome:
    """Publish a new flag, with a salt of its own where it has none. Raises as ``activate``."""
    made = {"salt": new_salt(), **flag}

    def alter(flags: tuple[Flag, ...]) -> tuple[Flag, ...] | FlagRefused:
        if any(one["name"] == made["name"] for one in flags):
            return FlagRefused(f"flag {made['name']} stands already; change it: retune flag set")
        return (*flags, made)

    return _publish(plane, site, alter, reason)


def change_flag(
    plane: ControlPlane, site: Site, name: str, change: FlagChange, *, reason: str
) -> Outcome:
    """Publish a flag anew with changes; its salt stays. Raises as ``activate``."""

    def alter(flags: tuple[Flag, ...]) -> tuple[Flag, ...] | FlagRefused:
        changed: list[Flag] = []
        for flag in flags:
            made = change(dict(flag)) if flag["name"] == name else flag
            if isinstance(made, FlagRefused):
                return made
            changed.append(made)
        return tuple(changed) if _has(flags, name) else _no_such(flags, name)

    return _publish(plane, site, alter, reason)


def remove_flag(plane: ControlPlane, site: Site, name: str, *, reason: str) -> Outcome:
    """Publish without a flag. Raises as ``activate``."""

    def alter(flags: tuple[Flag, ...]) -> tuple[Flag, ...] | FlagRefused:
        left = tuple(flag for flag in flags if flag["name"] != name)
        return left if _has(flags, name) else _no_such(flags, name)

    return _publish(plane, site, alter, reason)


def new_salt() -> str:
    """Return a salt that no other flag has, so that the same users are not always the first."""
    return secrets.token_hex(8)


def _publish(
    plane: ControlPlane,
    site: Site,
    alter: Callable[[tuple[Flag, ...]], tuple[Flag, ...] | FlagRefused],
    reason: str,
) -> Outcome:
    def altered(_: Transaction, parts: Parts) -> Parts | Refusal:
        flags = alter(parts.flags)
        return flags if isinstance(flags, FlagRefused) else replace(parts, flags=flags)

    wish = Wish(reason=reason, action="flag", keep_overrides=True, alter=altered)
    return activate(plane, site, wish)


def _has(flags: tuple[Flag, ...], name: str) -> bool:
    return any(flag["name"] == name for flag in flags)


def _no_such(flags: tuple[Flag, ...], name: str) -> FlagRefused:
    names = ", ".join(flag["name"] for flag in flags) or "none"
    return FlagRefused(f"there is no flag {name}; the flags are: {names}")
