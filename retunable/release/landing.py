"""One publication, and whether it may take the place of what stands in the configuration store.

Pure, and the same on every store: PostgreSQL and SQLite judge with it and compare again in
``WHERE``; Redis's script says it in Lua. A higher generation always stays. Where what stands has
no generation, or an equal one, it must be what the publisher was shown; where a canary is
published, whatever stands: it may be an abort, which knows nothing of generations begun elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from retunable.config.items import Item, Items, Unreadable
from retunable.release.documents import stored_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A document's text under its full store key, and what was shown before it.

    ``seen`` is what stood under the key. ``overrides`` are field keys: each with what was shown
    under it, None for nothing. Those that stand are deleted in the same atomic write. ``exact``
    replaces only what was shown, a lower generation too.
    """

    key: str
    text: str
    generation: int
    seen: Item | Unreadable | None
    overrides: Mapping[str, Item | None] = field(default_factory=dict)
    exact: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """Every store key that it is about, the document's first."""
        return (self.key, *self.overrides)


@dataclass(frozen=True, slots=True)
class Landed:
    """It stands in the store; ``already`` where an earlier attempt had written it."""

    already: bool = False


@dataclass(frozen=True, slots=True)
class Outrun:
    """A higher generation stands; nothing was written, and nothing of this one ever will be."""

    generation: int


@dataclass(frozen=True, slots=True)
class Moved:
    """Under these keys stands something else than was shown; nothing was written."""

    keys: tuple[str, ...]


Landing = Landed | Outrun | Moved


def judge(publication: Publication, items: Items) -> Landing:
    """Tell what becomes of a publication where these items stand under its keys."""
    standing = items.get(publication.key)
    if isinstance(standing, Item) and standing.value == publication.text:
        # Both halves of the write are one: where the text stands, the overrides were deleted.
        return Landed(already=True)
    generation = stored_document(standing).generation
    if generation > publication.generation:
        return Outrun(generation)
    replaces = 0 < generation < publication.generation and not publication.exact
    moved = () if replaces or standing == publication.seen else (publication.key,)
    return Moved(found) if (found := (*moved, *_moved_overrides(publication, items))) else Landed()


def deletions(publication: Publication, items: Items) -> tuple[str, ...]:
    """Return the overrides that its write deletes; one that is gone by now is no obstacle."""
    return tuple(
        key for key, shown in publication.overrides.items() if shown is not None and key in items
    )


def _moved_overrides(publication: Publication, items: Items) -> tuple[str, ...]:
    now = {key: items.get(key) for key in publication.overrides}
    return tuple(
        key
        for key, shown in publication.overrides.items()
        if now[key] is not None and now[key] != shown
    )
