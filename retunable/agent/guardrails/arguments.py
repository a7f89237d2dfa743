"""Whether a tool call's arguments keep to the allowed values.

What cannot be compared does not pass: a text where a number is bounded, a doubled name. An
argument that the model left out takes the function's own default, which the program chose.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from retunable.agent.guardrails.proposal import ProposedCall
from retunable.agent.guardrails.settings import PatternRule, RangeRule

_SHOWN_VALUES = 10
_SHOWN_CHARACTERS = 60

AnyRule = list[Any] | PatternRule | RangeRule


def broken_rules(call: ProposedCall, rules: Mapping[str, Mapping[str, AnyRule]]) -> tuple[str, ...]:
    """Return what is wrong with a call's arguments; empty where nothing is."""
    if call.tool not in rules:
        return ()
    try:
        arguments = call.parse()
    except ValueError as error:
        return (str(error),)
    return tuple(
        f"{name} {wanted(rule)}, not {_shown(value)}"
        for name, rule in rules[call.tool].items()
        if name in arguments
        for value in _members(arguments[name])
        if not allows(rule, value)
    )


def allows(rule: AnyRule, value: object) -> bool:
    """Tell whether a rule allows one value."""
    match rule:
        case list():
            return any(_same(value, allowed) for allowed in rule)
        case PatternRule(pattern=pattern):
            return isinstance(value, str) and fits(pattern, value)
        case RangeRule():
            return _in_range(rule, value)


def wanted(rule: AnyRule) -> str:
    """Say what a rule wants, for the model."""
    match rule:
        case list():
            more = ", …" if len(rule) > _SHOWN_VALUES else ""
            return f"must be one of {', '.join(map(_shown, rule[:_SHOWN_VALUES]))}{more}"
        case PatternRule(pattern=pattern):
            return f"must be a text like {_shown(pattern)} (* is any text)"
        case RangeRule(min=low, max=None):
            return f"must be a number of at least {low}"
        case RangeRule(min=None, max=high):
            return f"must be a number of at most {high}"
        case RangeRule():
            return f"must be a number from {rule.min} to {rule.max}"


def fits(pattern: str, text: str) -> bool:
    """Tell whether a text is like a pattern; each part is looked for once, so time is linear."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    end, place = len(text) - len(last), len(first)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def _members(value: object) -> Iterator[object]:
    """Yield what a rule is held against: a list keeps to it where each of its members does."""
    if isinstance(value, list):
        yield from value
    else:
        yield value


def _same(value: object, allowed: object) -> bool:
    # JSON's true is not 1, though Python's is.
    return value == allowed and isinstance(value, bool) == isinstance(allowed, bool)


def _in_range(rule: RangeRule, value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
        return False
    return (rule.min is None or value >= rule.min) and (rule.max is None or value <= rule.max)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
