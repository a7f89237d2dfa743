"""One form for texts that look alike, so that a check is not passed by writing a word otherwise.

After Unicode's NFKC_Casefold: case, width, ligatures and invisible characters make no
difference. Letters of other scripts that look alike (Cyrillic а) do.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_MOST_MARKS: Final = 30
"""Combining marks kept in a row, as Unicode's Stream-Safe Text Format (UAX 15) has it.

Python sorts a row of marks by insertion: 64,000 of them took 5.3 s, squared with their number.
"""
_LATE_MARKS: Final = "\u0f73\u0f75\u0f81\uff9e\uff9f"
"""Characters that are no marks themselves and become marks in NFKC."""

# Default_Ignorable_Code_Point: soft hyphen, zero width space and joiners, variation selectors …
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def fold(text: str) -> str:
    """Return a text's one form; any white space is one space. Time is linear in the length."""
    if text.isascii():
        return " ".join(text.lower().split())
    visible = _few_marks(_INVISIBLE.sub("", text))
    folded = unicodedata.normalize("NFKC", visible).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def _few_marks(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        is_mark = unicodedata.combining(character) != 0 or character in _LATE_MARKS
        marks = marks + 1 if is_mark else 0
        if marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)
