"""How to read a store without tearing: which keys to ask for, and when an answer is believed.

Pure: a plan is a generator that yields groups of keys, is sent their answers, and returns an
outcome; whoever drives it does the I/O. Groups of one ask may be read at the same time.

Why an outcome is exact. A document is one key, and PostgreSQL answers in one statement. On
Redis the keys are read one by one: two reads that agree prove the state at the moment between
them, unless a value changed and changed back. Where the document is read first and nothing
else differs from what was known, the moment of that first read is proven by the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field

from retunable.config.items import Item, Items, StoreKind, Unreadable
from retunable.live.store import StoreFailure

Groups = tuple[tuple[str, ...], ...]
Answer = Mapping[str, Item] | StoreFailure
"""The items of one group, or the failure of kind POISONED that its read ended with."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the last agreed read found; ``whole`` is False where it was not read in one piece."""

    items: Items = field(default_factory=dict)
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Agreed:
    """What stands in the store now.

    ``verify`` asks for one more read of all keys soon: the keys that were absent before were
    left out, for on Redis each costs time and a warning in daprd's log.
    """

    known: Known
    verify: bool = False


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The reads did not agree: the old snapshot stays and the reading is tried again."""


Outcome = Agreed | Unsettled
Plan = Generator[Groups, Sequence[Answer], Outcome]


@dataclass(frozen=True, slots=True)
class _Piece:
    asked: frozenset[str]
    items: Items
    whole: bool


def read_all(
    keys: Sequence[str],
    *,
    store: StoreKind,
    known: Known | None,
    hinted: Collection[str] = (),
    agreeing_reads: int = 4,
) -> Plan:
    """Plan the reading of all of an agent's keys, the document's first.

    ``hinted`` names the keys that a notification was about; ``agreeing_reads`` is how often
    the keys are read again in search of two equal readings.
    """
    before = known or Known()
    bad = _unreadable(before.items)
    if store in ("postgresql", "sqlite"):
        piece = yield from _collect((tuple(keys),), bad)
        return Agreed(Known(piece.items, piece.whole))
    document = keys[0]
    ask: Groups = (tuple(keys),)
    if known is not None and store == "redis":
        chosen = {document, *hinted, *before.items} if hinted else set(keys)
        ask = (tuple(key for key in keys if key in chosen),)
    piece = yield from _collect(ask, bad)
    expected = _overlaid(before.items, piece)
    changed = differing(before.items, expected)
    if known is not None and not changed and piece.whole == before.whole:
        return Agreed(known)
    if known is not None and store == "redis" and changed == {document} and piece.whole:
        return Agreed(Known(expected), verify=len(piece.asked) < len(keys))
    for _ in range(agreeing_reads):
        again = yield from _collect((tuple(keys),), _unreadable(expected))
        if not differing(expected, again.items):
            return Agreed(Known(again.items, again.whole))
        expected = again.items
    return Unsettled()


def read_on_timer(
    keys: Sequence[str],
    *,
    store: StoreKind,
    known: Known,
    absent: Collection[str],
    agreeing_reads: int = 4,
) -> Plan:
    """Plan the regular read behind the stream: on Redis only the present keys and ``absent``.

    Whatever it finds different is read again with all keys before it is believed.
    """
    if store == "redis":
        chosen = {*known.items, *absent} or {keys[0]}
        asked = tuple(key for key in keys if key in chosen)
        piece = yield from _collect((asked,), _unreadable(known.items))
        same_whole = piece.whole == known.whole
        if same_whole and not differing(known.items, _overlaid(known.items, piece)):
            return Agreed(known)
    return (yield from read_all(keys, store=store, known=known, agreeing_reads=agreeing_reads))


def absent_turn(keys: Sequence[str], *, known: Known, turn: int, slices: int) -> frozenset[str]:
    """Return the absent keys whose turn it is: each has one within ``slices`` timer reads."""
    mine = (key for place, key in enumerate(keys) if place % slices == turn % slices)
    return frozenset(key for key in mine if key not in known.items)


def differing(one: Items, other: Items) -> frozenset[str]:
    """Return the keys under which two readings hold different values."""
    return frozenset(key for key in {*one, *other} if one.get(key) != other.get(key))


def _collect(groups: Groups, bad: frozenset[str]) -> Generator[Groups, Sequence[Answer], _Piece]:
    """Read the groups in one go, each key that was unreadable before by itself.

    A group that turns out to be poisoned is read key by key to find the culprit, and then once
    more in one piece without it. No culprit means that the values are too large together.
    """
    asked = frozenset(key for group in groups for key in group)
    apart = tuple((key,) for key in sorted(bad & asked))
    together = tuple(tuple(key for key in group if key not in bad) for group in groups)
    ask = (*(group for group in together if group), *apart)
    answers = yield ask
    found = _items(ask, answers)
    poisoned = _poisoned(ask, answers)
    if not poisoned:
        return _Piece(asked, found, not _unreadable(found))
    singles = tuple((key,) for group in poisoned for key in group)
    found = _items(singles, (yield singles)) | found
    culprits = _unreadable(found) - bad
    if not culprits:
        return _Piece(asked, found, whole=False)
    return (yield from _collect(groups, bad | culprits))


def _poisoned(ask: Groups, answers: Sequence[Answer]) -> Groups:
    pairs = zip(ask, answers, strict=True)
    return tuple(
        group for group, answer in pairs if isinstance(answer, StoreFailure) and len(group) > 1
    )


def _items(ask: Groups, answers: Sequence[Answer]) -> dict[str, Item | Unreadable]:
    found: dict[str, Item | Unreadable] = {}
    for group, answer in zip(ask, answers, strict=True):
        if not isinstance(answer, StoreFailure):
            # A zero-length value counts as absent on every store; Redis never gives one.
            found |= {key: answer[key] for key in group if key in answer and answer[key].value}
        elif len(group) == 1:
            found[group[0]] = Unreadable(answer.detail)
    return found


def _overlaid(before: Items, piece: _Piece) -> Items:
    kept = {key: item for key, item in before.items() if key not in piece.asked}
    return kept | dict(piece.items)


def _unreadable(items: Items) -> frozenset[str]:
    return frozenset(key for key, item in items.items() if isinstance(item, Unreadable))
