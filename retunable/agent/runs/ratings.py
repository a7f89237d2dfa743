"""How runs were rated, by whom: one rating a user and run, of which the last one counts.

Kept with the run, so that the same rating sent again tells nothing new and ``forget`` erases who
rated. Any user may rate a run, also while it goes on; whose word a face takes is its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from retunable.agent.runs.book import RunBook
from retunable.agent.runs.documents import is_forgotten
from retunable.agent.runs.telling import Rating
from retunable.agent.runs.views import RunState
from retunable.agent.state.keys import StateKeys
from retunable.agent.state.store import StateStore
from retunable.errors import RunForgotten

FORM: Final = 1
MOST_RATERS: Final = 100
"""Of one run; beyond it nobody new is taken, for the document grows with each."""
NOBODY: Final = ""


class TellRating(Protocol):
    """Tells the control plane of a rating."""

    def __call__(self, run_id: str, rating: Rating, *, number: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Rated:
    """What stands of one user: the rating, and the how manieth of its run it is."""

    rating: Rating
    number: int


class Ratings:
    """The ratings of one agent's runs."""

    def __init__(
        self, book: RunBook, store: StateStore, keys: StateKeys, *, tell: TellRating
    ) -> None:
        self._book = book
        self._store = store
        self._keys = keys
        self._tell = tell

    async def rate(self, run_id: str, rating: Rating, *, user_id: str | None) -> None:
        """Keep a user's rating of a run, and tell it.

        Raises:
            RunUnknown: no run of this id is kept.
            RunForgotten: its conversation was forgotten.
            Unavailable: the sidecar or the state store is away.
        """
        memory = await self._book.found(run_id)
        if memory.ended is not None and memory.ended.state is RunState.FORGOTTEN:
            raise RunForgotten(run_id)
        user = user_id or NOBODY
        rated = await self._kept(run_id, user, rating)
        if rated is not None:
            # Told again where nothing changed: whoever kept it may have died before it was told.
            self._tell(run_id, rated.rating, number=rated.number)

    async def _kept(self, run_id: str, user: str, rating: Rating) -> Rated | None:
        """Write a rating down and return it; None where too many others stand."""
        key = self._keys.ratings(run_id)
        while True:
            stands = (await self._store.get_many([key])).get(key)
            if stands is not None and is_forgotten(stands.value):
                raise RunForgotten(run_id)
            ratings = {} if stands is None else stands.value["content"]["ratings"]
            before = ratings.get(user)
            if before is not None and before["rating"] == rating:
                return Rated(rating, before["number"])
            if before is None and len(ratings) >= MOST_RATERS:
                return None
            number = 1 + max((each["number"] for each in ratings.values()), default=0)
            document = _document(ratings | {user: {"rating": rating, "number": number}})
            if stands is None:
                won = (await self._store.insert(key, document)).won
            else:
                won = await self._store.save(key, document, etag=stands.etag)
            if won:
                return Rated(rating, number)


def _document(ratings: Mapping[str, Any]) -> dict[str, Any]:
    return {"v": FORM, "record": {}, "content": {"ratings": dict(ratings)}}
