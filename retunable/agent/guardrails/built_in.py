"""The checks that every agent has: blocked terms, length, personal data, allowed arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel

from retunable.agent.guardrails.arguments import broken_rules
from retunable.agent.guardrails.check import SAFE, Guardrail, Score
from retunable.agent.guardrails.personal_data import kinds_in
from retunable.agent.guardrails.proposal import (
    Proposal,
    ProposedCall,
    moment_of,
    readable_text,
    written_length,
)
from retunable.agent.guardrails.settings import (
    AllowedArguments,
    BlockedTerms,
    Length,
    Moments,
    PersonalData,
    settings_reasons,
)
from retunable.agent.guardrails.terms import Terms
from retunable.agent.tools.threads import ToolThreads

S = TypeVar("S", bound=BaseModel)

LONG_CHARACTERS: Final = 20_000
"""A longer proposal is judged beside the event loop, which it would hold for milliseconds."""

_SHOWN_TERMS = 5
_NAMES: Final = {
    "email": "an e-mail address",
    "phone": "a telephone number",
    "credit_card": "a payment card number",
    "iban": "an IBAN",
}


@dataclass(frozen=True)
class BuiltIn(Generic[S]):
    """A check of ours: a pure function that says what is wrong, or nothing."""

    name: str
    settings: type[S]
    complain: Callable[[Proposal, S], str]

    def check_settings(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what is wrong with some settings."""
        return settings_reasons(self.settings, settings)

    async def score(
        self, proposal: Proposal, settings: Mapping[str, Any], *, threads: ToolThreads
    ) -> Score:
        """Return 1, or 0 with what is wrong."""
        if written_length(proposal) <= LONG_CHARACTERS:
            return self._score(proposal, settings)
        score: Score = await threads.run(lambda: self._score(proposal, settings))
        return score

    def _score(self, proposal: Proposal, settings: Mapping[str, Any]) -> Score:
        parsed = self.settings.model_validate(dict(settings))
        if isinstance(parsed, Moments) and moment_of(proposal) not in parsed.on:
            return SAFE
        complaint = self.complain(proposal, parsed)
        return Score(0.0, complaint) if complaint else SAFE


def _blocked_terms(proposal: Proposal, settings: BlockedTerms) -> str:
    found = _terms(tuple(settings.terms)).found_in(readable_text(proposal))
    if not found:
        return ""
    more = " and more" if len(found) > _SHOWN_TERMS else ""
    return f"leave out {', '.join(map(repr, found[:_SHOWN_TERMS]))}{more}"


@lru_cache(maxsize=32)
def _terms(terms: tuple[str, ...]) -> Terms:
    """Return the tree of some terms; 2,000 of them take some milliseconds."""
    return Terms(terms)


def _length(proposal: Proposal, settings: Length) -> str:
    length = written_length(proposal)
    if length <= settings.max_characters:
        return ""
    return f"use at most {settings.max_characters} characters, not {length}"


def _personal_data(proposal: Proposal, settings: PersonalData) -> str:
    # What was found is not repeated: the reason is logged and kept.
    found = kinds_in(readable_text(proposal), tuple(settings.kinds))
    return f"leave out {' and '.join(_NAMES[kind] for kind in found)}" if found else ""


def _allowed_arguments(proposal: Proposal, settings: AllowedArguments) -> str:
    if not isinstance(proposal, ProposedCall):
        return ""
    return "; ".join(broken_rules(proposal, settings.root))


_CHECKS: Final[tuple[Guardrail, ...]] = (
    BuiltIn("blocked_terms", BlockedTerms, _blocked_terms),
    BuiltIn("length", Length, _length),
    BuiltIn("personal_data", PersonalData, _personal_data),
    BuiltIn("allowed_arguments", AllowedArguments, _allowed_arguments),
)
BUILT_IN: Final = MappingProxyType({check.name: check for check in _CHECKS})
