"""The formulas once more, as plain as they are written down: exact fractions, user by user.

Slow and obvious on purpose; shares no code with what it checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cache

UP = [Fraction(5, 4), Fraction(3, 2), Fraction(2), Fraction(3), Fraction(5), Fraction(10)]
DOWN = [Fraction(1, 2), Fraction(4, 5), Fraction(1), Fraction(11, 10), Fraction(6, 5)]
BETS = [Fraction(1, 2**power) for power in range(6)]

BadUser = tuple[Fraction, bool]
"""The canary's share of the user's cohort, and whether the user is on the canary."""


def theta(ratio: Fraction, share: Fraction) -> Fraction:
    """How probably a bad user is on the canary."""
    return ratio * share / (ratio * share + 1 - share)


@cache
def factor(ratio: Fraction, bound: Fraction, share: Fraction, on_canary: bool) -> Fraction:
    """What one bad user multiplies the evidence of one alternative by."""
    alternative, null = theta(ratio, share), theta(bound, share)
    return alternative / null if on_canary else (1 - alternative) / (1 - null)


def evidence(users: Iterable[BadUser], alternatives: list[Fraction], bound: Fraction) -> Fraction:
    """The mean over alternatives of the product over users."""
    products = [Fraction(1)] * len(alternatives)
    for share, on_canary in users:
        for index, ratio in enumerate(alternatives):
            products[index] *= factor(ratio, bound, share, on_canary)
    return sum(products, Fraction(0)) / len(products)


def within_margin(differences: Iterable[int], margin: Fraction) -> Fraction:
    """The mean capital over bets, a pair at a time."""
    capitals = [Fraction(1)] * len(BETS)
    for difference in differences:
        for index, bet in enumerate(BETS):
            capitals[index] *= 1 + bet * (margin - difference)
    return sum(capitals, Fraction(0)) / len(capitals)


def crossing_probability(
    crosses: Callable[[int, int], bool], *, probability: Fraction, most: int
) -> Fraction:
    """The exact chance that bad users, each on the canary with one probability, ever cross.

    Dynamic programming over (bad on the canary, bad on the control), ``most`` users long.
    """
    standing = {0: Fraction(1)}
    crossed = Fraction(0)
    for seen in range(1, most + 1):
        following: dict[int, Fraction] = {}
        for canary, chance in standing.items():
            for more, part in ((1, probability), (0, 1 - probability)):
                reached = following.get(canary + more, Fraction(0))
                following[canary + more] = reached + chance * part
        standing = {}
        for canary, chance in following.items():
            if crosses(canary, seen - canary):
                crossed += chance
            else:
                standing[canary] = chance
    return crossed
