"""What differs between two configs, field by field in the order of the fields, and inside a field.

Prompts word by word, lists of names as sets, objects member by member. How it looks on a terminal is
the command line's business.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from itertools import pairwise
from typing import Any, Final, Literal, assert_never

from retunable.config.agent_config import AgentConfig
from retunable.config.fields import FIELD_BY_NAME, FIELDS

MAX_PAIRS: Final = 100_000
"""Of equal words, or lines, in two changed passages: what comparing them costs, a second at the very
worst. Where there are more, the passages are shown as gone and new as a whole."""

_WORDS = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs: its name, its store key, and both values as JSON values."""

    field: str
    key: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a prompt: in both, only in the old one, or only in the new one."""

    kind: Literal["same", "gone", "new"]
    text: str


@dataclass(frozen=True, slots=True)
class TextDetail:
    """A prompt, or several one below the other; the passages give both texts back."""

    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class SetDetail:
    """Names that came and went; ``reordered`` where only their order differs."""

    gone: tuple[str, ...]
    new: tuple[str, ...]
    reordered: bool


@dataclass(frozen=True, slots=True)
class MemberDetail:
    """Members of an object that came, went, or differ, by name."""

    gone: tuple[str, ...]
    new: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ValueDetail:
    """A number or a name: there is nothing inside to compare."""


Detail = TextDetail | SetDetail | MemberDetail | ValueDetail

_PROMPTS: Final = frozenset({"role", "goal", "system_prompt"})
"""The text fields that people write as prose; the others are names."""


def diff(old: AgentConfig, new: AgentConfig) -> tuple[Change, ...]:
    """Return every field whose value differs; empty where the configs are equal."""
    before, after = old.to_json(), new.to_json()
    return tuple(
        Change(field.name, field.key, before[field.name], after[field.name])
        for field in FIELDS
        if before[field.name] != after[field.name]
    )


def detail(change: Change) -> Detail:
    """Return what differs inside one changed field."""
    kind = FIELD_BY_NAME[change.field].kind
    match kind:
        case "text" if change.field in _PROMPTS:
            return TextDetail(passages(change.old or "", change.new or ""))
        case "texts":
            return TextDetail(passages("\n".join(change.old), "\n".join(change.new)))
        case "names" if change.old is not None and change.new is not None:
            return _sets(change.old, change.new)
        case "object":
            return _members(change.old, change.new)
        case "text" | "names" | "integer" | "number":
            return ValueDetail()
        case _:
            assert_never(kind)


def passages(old: str, new: str) -> tuple[Passage, ...]:
    """Compare two texts line by line, and word by word inside the lines that differ."""
    return tuple(_joined(_lines(old.splitlines(keepends=True), new.splitlines(keepends=True))))


def _lines(old: list[str], new: list[str]) -> Iterator[Passage]:
    for same, before, after in _runs(old, new):
        if same:
            yield Passage("same", "".join(before))
        else:
            yield from _words("".join(before), "".join(after))


def _words(old: str, new: str) -> Iterator[Passage]:
    for same, gone, came in _runs(_WORDS.findall(old), _WORDS.findall(new)):
        if same:
            yield Passage("same", "".join(gone))
        else:
            yield from (Passage("gone", "".join(gone)), Passage("new", "".join(came)))


def _runs(
    old: Sequence[str], new: Sequence[str]
) -> Iterator[tuple[bool, Sequence[str], Sequence[str]]]:
    """Give alternately what is equal in both and what stands between; ends are cheap to match."""
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    if head:
        yield True, old[:head], new[:head]
    yield from _matched(middle_old, middle_new)
    if tail:
        yield True, old[len(old) - tail :], new[len(new) - tail :]


def _matched(
    old: Sequence[str], new: Sequence[str]
) -> Iterator[tuple[bool, Sequence[str], Sequence[str]]]:
    blocks = [Match(len(old), len(new), 0)]
    if _pairs(old, new) <= MAX_PAIRS:
        blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    for last, block in pairwise([Match(0, 0, 0), *blocks]):
        gone, came = old[last.a + last.size : block.a], new[last.b + last.size : block.b]
        if gone or came:
            yield False, gone, came
        if block.size:
            same = old[block.a : block.a + block.size]
            yield True, same, same


def _pairs(old: Sequence[str], new: Sequence[str]) -> int:
    ours, theirs = Counter(old), Counter(new)
    return sum(count * theirs[text] for text, count in ours.items())


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    count = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        count += 1
    return count


def _joined(found: Iterator[Passage]) -> Iterator[Passage]:
    """Leave out empty passages, and join neighbours of one kind."""
    last: Passage | None = None
    for passage in found:
        if not passage.text:
            continue
        if last is not None and last.kind == passage.kind:
            last = Passage(last.kind, last.text + passage.text)
            continue
        if last is not None:
            yield last
        last = passage
    if last is not None:
        yield last


def _sets(old: list[str], new: list[str]) -> SetDetail:
    gone = tuple(name for name in old if name not in new)
    came = tuple(name for name in new if name not in old)
    return SetDetail(gone, came, reordered=not gone and not came)


def _members(old: dict[str, Any], new: dict[str, Any]) -> MemberDetail:
    return MemberDetail(
        gone=tuple(name for name in old if name not in new),
        new=tuple(name for name in new if name not in old),
        changed=tuple(name for name in old if name in new and old[name] != new[name]),
    )
