"""What a guardrail judges: an answer before it is given, or a tool call before it is made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

Moment = Literal["answer", "tool_call"]
MOMENTS: Final[tuple[Moment, ...]] = ("answer", "tool_call")


@dataclass(frozen=True, slots=True)
class Answer:
    """A text that a model wants to give to the user."""

    text: str


@dataclass(frozen=True, slots=True)
class ProposedCall:
    """A tool call that a model wants to make; ``arguments`` is JSON text as the model wrote it."""

    tool: str
    arguments: str

    def parse(self) -> dict[str, Any]:
        """Return the arguments by name.

        Raises:
            ValueError: they are no JSON object, or a name stands twice in an object: two readers
                could then understand two different calls.
        """
        try:
            value = json.loads(self.arguments or "{}", object_pairs_hook=_without_doubles)
        except RecursionError as error:
            raise ValueError("the arguments are nested too deep") from error
        if not isinstance(value, dict):
            raise ValueError("the arguments are no JSON object")
        return value


Proposal = Answer | ProposedCall


def moment_of(proposal: Proposal) -> Moment:
    """Return which of the two a proposal is."""
    return "answer" if isinstance(proposal, Answer) else "tool_call"


def written_length(proposal: Proposal) -> int:
    """Return how many characters the model wrote."""
    return len(proposal.text if isinstance(proposal, Answer) else proposal.arguments)


def readable_text(proposal: Proposal) -> str:
    """Return the text that a person would read in a proposal.

    Of a call these are all names, texts and numbers in its arguments, each on a line: the JSON
    text itself could hide a word behind escapes.
    """
    if isinstance(proposal, Answer):
        return proposal.text
    try:
        # Pairs instead of dictionaries lose no doubled name; numbers stay as written.
        value = json.loads(
            proposal.arguments or "{}", object_pairs_hook=list, parse_int=str, parse_float=str
        )
    except (ValueError, RecursionError):
        return proposal.arguments
    return "\n".join(_leaves(value))


def _leaves(value: object) -> list[str]:
    found: list[str] = []
    left = [value]
    while left:
        match left.pop():
            case str(text):
                found.append(text)
            case list(members) | tuple(members):
                left.extend(reversed(members))
            case _:
                continue
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice in the arguments")
    return value
