"""Finding personal data: e-mail addresses, telephone numbers, payment cards, IBANs.

The expressions are fixed and bounded, so their time grows no faster than the text; digits that
carry a check (Luhn, ISO 7064 mod 97-10) are believed only where it holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal

from retunable.agent.guardrails.folding import fold

Kind = Literal["email", "phone", "credit_card", "iban"]

# From the @ outwards: looking for the part before it first would look 64 times at each letter.
_EMAIL = re.compile(r"(?<=[\w.%+-])@(?:[\w-]{1,63}\.){1,8}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,63})")
_PHONES: Final = (
    # +49 30 1234567
    re.compile(r"(?<![\w+])\+[1-9](?:[ ./()-]{0,3}[0-9]){7,14}(?![0-9])"),
    # 0049 (0)30 123-4567; without a separator it is a number with zeros before it
    re.compile(
        r"(?<![\w+.,])(?<![0-9][ -])00[1-9][0-9]{0,2}[ ./()-]{1,3}[0-9](?:[ ./()-]{0,3}[0-9]){5,12}(?![0-9])"
    ),
    # (212) 555-0123, 1-212-555-0123
    re.compile(
        r"(?<![\w.,+-])(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])"
        r"[2-9][0-9]{2}[ .-][0-9]{4}(?![\w-])"
    ),
    # 030 1234567, 01 23 45 67 89, 0171/1234567, but no date with a time: 01/02/2024 10:30
    re.compile(
        r"(?<![\w.,+-])(?<![0-9][ -])(?!0[0-9][/-][0-9]{2}[/-][0-9]{2,4}(?![0-9/-]))"
        r"\(?0[1-9](?:[ /()-]{0,3}[0-9]){7,10}(?![0-9]|[.,-][0-9])"
    ),
)
# The ways in which cards are written; each is looked for at each place, for what follows a card
# (a date, a code of three digits) must not hide it.
_CARDS: Final = tuple(
    re.compile(rf"(?<![0-9+])(?=([3-6][0-9]|2[2-7]){shape}(?![0-9]))")
    for shape in (
        r"([0-9]{11,17})",
        r"([0-9]{2}(?:[ -][0-9]{4}){3})",
        r"([0-9]{2}(?:[ -][0-9]{4}){2}[ -][0-9]{1,3})",
        r"([0-9]{2}(?:[ -][0-9]{4}){3}[ -][0-9]{1,3})",
        r"([0-9]{2}[ -][0-9]{6}[ -][0-9]{4,5})",
    )
)
_IBAN_START = re.compile(r"(?<![^\W_])([a-z]{2})([0-9]{2})")

# The length of an IBAN by country, from the IBAN registry (ISO 13616).
_IBAN_LENGTHS: Final = MappingProxyType(
    {
        entry[:2]: int(entry[2:])
        for entry in [
            "ad24",
            "ae23",
            "al28",
            "at20",
            "az28",
            "ba20",
            "be16",
            "bg22",
            "bh22",
            "bi27",
            "br29",
            "by28",
            "ch21",
            "cr22",
            "cy28",
            "cz24",
            "de22",
            "dj27",
            "dk18",
            "do28",
            "ee20",
            "eg29",
            "es24",
            "fi18",
            "fk18",
            "fo18",
            "fr27",
            "gb22",
            "ge22",
            "gi23",
            "gl18",
            "gr27",
            "gt28",
            "hn28",
            "hr21",
            "hu28",
            "ie22",
            "il23",
            "iq23",
            "is26",
            "it27",
            "jo30",
            "kw30",
            "kz20",
            "lb28",
            "lc32",
            "li21",
            "lt20",
            "lu20",
            "lv21",
            "ly25",
            "mc27",
            "md24",
            "me22",
            "mk19",
            "mn20",
            "mr27",
            "mt31",
            "mu30",
            "ni28",
            "nl18",
            "no15",
            "om23",
            "pk24",
            "pl28",
            "ps29",
            "pt25",
            "qa29",
            "ro24",
            "rs22",
            "ru33",
            "sa24",
            "sc31",
            "sd18",
            "se24",
            "si19",
            "sk24",
            "sm27",
            "so23",
            "st25",
            "sv28",
            "tl23",
            "tn24",
            "tr26",
            "ua29",
            "va22",
            "vg24",
            "xk20",
            "ye30",
        ]
    }
)


def kinds_in(text: str, kinds: tuple[Kind, ...]) -> list[Kind]:
    """Return which kinds of personal data a text holds, in the order asked for."""
    folded = fold(text)
    return [kind for kind in kinds if _FINDERS[kind](folded)]


def passes_luhn(digits: str) -> bool:
    """Tell whether the last of some digits is their check digit (ISO/IEC 7812-1 annex B)."""
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0


def passes_mod_97(iban: str) -> bool:
    """Tell whether an IBAN's check digits fit (ISO 7064 mod 97-10); in lower case, no spaces."""
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _has_email(folded: str) -> bool:
    return _EMAIL.search(folded) is not None


def _has_phone(folded: str) -> bool:
    return any(pattern.search(folded) for pattern in _PHONES)


def _has_credit_card(folded: str) -> bool:
    return any(
        passes_luhn(re.sub("[ -]", "", found[1] + found[2]))
        for shape in _CARDS
        for found in shape.finditer(folded)
    )


def _has_iban(folded: str) -> bool:
    for found in _IBAN_START.finditer(folded):
        length = _IBAN_LENGTHS.get(found[1])
        if length is not None and _is_iban(
            folded[found.start() : found.start() + 2 * length], length
        ):
            return True
    return False


def _is_iban(text: str, length: int) -> bool:
    kept: list[str] = []
    for place, character in enumerate(text):
        if len(kept) == length:
            # A longer word or number that only begins like one.
            return not character.isalnum() and passes_mod_97("".join(kept))
        if "a" <= character <= "z" or "0" <= character <= "9":
            kept.append(character)
        elif character not in " -" or text[place - 1] in " -":
            return False
    return len(kept) == length and passes_mod_97("".join(kept))


_FINDERS: Final[Mapping[Kind, Callable[[str], bool]]] = MappingProxyType(
    {
        "email": _has_email,
        "phone": _has_phone,
        "credit_card": _has_credit_card,
        "iban": _has_iban,
    }
)
