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
Flags = tuple[Flag, ...]
FlagChange = Callable[[dict[str, Any]], Flag | FlagRefused]
"""Makes another flag of the one that stands."""
FlagsChange = Callable[[Flags], Flags | FlagRefused]
"""Makes other flags of those that stand, and of the same ones the same: it is called at each try."""


def flags_of(plane: ControlPlane, site: Site) -> Flags:
    """Return the flags of what is active; none without a release."""
    with plane.store.snapshot() as work:
        active = deployments.active(work, site.agent, environment=site.environment)
    return Parts.of(active).flags


def with_new(flag: Flag) -> FlagsChange:
    """Add a flag, with a salt of its own where it has none."""
    made = {"salt": new_salt(), **flag}

    def change(flags: Flags) -> Flags | FlagRefused:
        if any(one["name"] == made["name"] for one in flags):
            return FlagRefused(f"flag {made['name']} stands already; change it: retune flag set")
        return (*flags, made)

    return change


def with_changed(name: str, change: FlagChange) -> FlagsChange:
    """Change a flag; its salt stays."""

    def changed(flags: Flags) -> Flags | FlagRefused:
        made: list[Flag] = []
        for flag in flags:
            other = change(dict(flag)) if flag["name"] == name else flag
            if isinstance(other, FlagRefused):
                return other
            made.append(other)
        return tuple(made) if _has(flags, name) else _no_such(flags, name)

    return changed


def without(name: str) -> FlagsChange:
    """Take a flag away."""

    def change(flags: Flags) -> Flags | FlagRefused:
        left = tuple(flag for flag in flags if flag["name"] != name)
        return left if _has(flags, name) else _no_such(flags, name)

    return change


def publish_flags(plane: ControlPlane, site: Site, change: FlagsChange, *, reason: str) -> Outcome:
    """Publish other flags, made in the transaction that allots the generation. Raises as ``activate``."""

    def altered(_: Transaction, parts: Parts) -> Parts | Refusal:
        flags = change(parts.flags)
        return flags if isinstance(flags, FlagRefused) else replace(parts, flags=flags)

    wish = Wish(reason=reason, action="flag", keep_overrides=True, alter=altered)
    return activate(plane, site, wish)


def new_salt() -> str:
    """Return a salt that no other flag has, so that the same users are not always the first."""
    return secrets.token_hex(8)


def _has(flags: Flags, name: str) -> bool:
    return any(flag["name"] == name for flag in flags)


def _no_such(flags: Flags, name: str) -> FlagRefused:
    names = ", ".join(flag["name"] for flag in flags) or "none"
    return FlagRefused(f"there is no flag {name}; the flags are: {names}")
