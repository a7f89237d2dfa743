"""Finding terms in a text, word by word: one walk over the text, whatever the number of terms."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from retunable.agent.guardrails.folding import fold

MAX_WORDS: Final = 32

# Scripts that write no space between words (Thai to Khmer, kana, Han), and Hangul, which joins
# particles to them: each character is a word, so that a term is found inside a sentence.
_UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
    "\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")

# Accents that no letter has taken up in the one form: strokes and piled marks.
_LOOSE_MARKS = re.compile("[\u0300-\u036f]")

_END: Final = ""
"""The key in a branch of the tree under which a whole term stands."""


def words_of(text: str) -> list[str]:
    """Return the words and signs of a text in their one form."""
    return _WORD.findall(_LOOSE_MARKS.sub("", fold(text)))


class Terms:
    """A set of terms; a term is found where its words stand in a row, in any case or width."""

    def __init__(self, terms: Iterable[str]) -> None:
        self._tree: dict[str, Any] = {}
        for term in terms:
            branch = self._tree
            for word in words_of(term):
                branch = branch.setdefault(word, {})
            branch[_END] = term

    def found_in(self, text: str) -> list[str]:
        """Return the terms that a text holds, each once, in their order in the text."""
        words = words_of(text)
        found: dict[str, None] = {}
        for start, word in enumerate(words):
            if word in self._tree:
                self._walk(words, start, found)
        return list(found)

    def _walk(self, words: list[str], start: int, found: dict[str, None]) -> None:
        branch = self._tree
        for word in words[start : start + MAX_WORDS]:
            following = branch.get(word)
            if following is None:
                return
            branch = following
            if _END in branch:
                found[branch[_END]] = None
