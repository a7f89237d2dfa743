"""What a person typed about a flag; what it comes to is in ``flag_parts``."""

from __future__ import annotations

from dataclasses import dataclass

from retunable.cli.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagRequest:
    """Which flag of which agent is to be another one, why, and how long the agents are waited for."""

    place: Place
    name: str
    reason: str
    wait: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagWish:
    """As typed; None or empty leaves what stands.

    ``rules`` are like ``plan in pro,team``; ``anybody`` among them takes the rules away. ``values``
    are ``field=value``, ``tools`` and ``guardrails`` are ``name=on`` or ``off``, and a guardrail's
    settings as JSON.
    """

    percent: float | None = None
    users: tuple[str, ...] = ()
    users_gone: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    expires: str | None = None
    values: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    guardrails: tuple[str, ...] = ()
