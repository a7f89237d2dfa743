"""What the program allows beside its defaults, and the rules that hold across fields.

Checked before anything is applied. A violation names its fields, so that a caller can put
just those back to their last valid combination.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from retunable.config.agent_config import AgentConfig
from retunable.errors import ConfigurationError

RULES: Final = (frozenset({"provider", "model"}), frozenset({"tools", "tool_choice"}))
"""The sets of fields that are only valid together; no field is in two of them."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken constraint: the fields that it is about, and why."""

    fields: frozenset[str]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What a configuration may ask of this program; None allows everything.

    ``models`` is a collection of names, or a mapping from provider to the names that it may
    use. ``providers`` are provider names, ``max_iterations`` model calls of one run,
    ``max_tokens`` tokens of one answer. ``registered_tools``, ``registered_providers`` and
    ``guardrail_reasons`` (what is wrong with a config's guardrails) are filled in by the agent
    from what the program really has.
    """

    models: Collection[str] | Mapping[str, Collection[str]] | None = None
    providers: Collection[str] | None = None
    max_iterations: int | None = None
    max_tokens: int | None = None
    registered_tools: Collection[str] | None = None
    registered_providers: Collection[str] | None = None
    guardrail_reasons: Callable[[Mapping[str, Any]], Collection[str]] | None = None

    def __post_init__(self) -> None:
        for name in ("models", "providers"):
            if isinstance(getattr(self, name), str):
                raise ConfigurationError(
                    f"Constraints({name}=…) takes a set of names, not one string"
                )

    def check(self, config: AgentConfig) -> tuple[Violation, ...]:
        """Return every violation of a config, in a fixed order; empty where there is none."""
        return tuple(
            Violation(frozenset(fields.split()), reason)
            for fields, reason in (
                *self._single(config),
                *self._provider_and_model(config),
                *self._tools_and_choice(config),
            )
        )

    def _single(self, config: AgentConfig) -> Iterator[tuple[str, str]]:
        if self.max_iterations is not None and config.max_iterations > self.max_iterations:
            yield "max_iterations", f"must be at most {self.max_iterations} in this program"
        # Without a number the provider's own default would apply, which nobody here bounds.
        if self.max_tokens is not None and (config.max_tokens or self.max_tokens) > self.max_tokens:
            yield "max_tokens", f"must be at most {self.max_tokens} in this program"
        if unknown := _outside(config.tools or (), self.registered_tools):
            yield "tools", f"names {unknown[0]!r}, which this program has not registered"
        if self.guardrail_reasons is not None and config.guardrails:
            for reason in self.guardrail_reasons(config.guardrails):
                yield "guardrails", reason

    def _provider_and_model(self, config: AgentConfig) -> Iterator[tuple[str, str]]:
        provider, model = config.provider, config.model
        if _outside([provider], self.registered_providers) or _outside([provider], self.providers):
            yield "provider", f"{provider!r} is not a provider that this program allows"
        if model is None:
            yield "model", "must be set"
        elif isinstance(self.models, Mapping):
            if model not in self.models.get(provider, ()):
                yield "provider model", f"{model!r} is not allowed with provider {provider!r}"
        elif _outside([model], self.models):
            yield "model", f"{model!r} is not a model that this program allows"

    def _tools_and_choice(self, config: AgentConfig) -> Iterator[tuple[str, str]]:
        choice = config.tool_choice
        offered = config.tools if config.tools is not None else self.registered_tools
        if choice is None or choice in {"auto", "none"} or offered is None:
            return
        if choice == "required":
            if not offered:
                yield "tools tool_choice", "tool_choice 'required' needs at least one tool"
        elif choice not in offered:
            yield "tools tool_choice", f"tool_choice {choice!r} is not among the allowed tools"


def _outside(names: Collection[str], allowed: Collection[str] | None) -> list[str]:
    return [] if allowed is None else [name for name in names if name not in allowed]
