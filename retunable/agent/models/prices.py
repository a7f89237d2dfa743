"""What model calls cost, by the prices that a program names; without a price nobody says.

A cost is reckoned when its call is recorded and stays as it was, whatever prices become.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import fsum, isfinite
from typing import Final, NamedTuple

from retunable.agent.runs.records import StepRecord
from retunable.errors import ConfigurationError

_log = logging.getLogger("retunable")

MILLION: Final = 1_000_000
LONGEST_CURRENCY: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """What a million tokens of one model cost, in the currency of its ``Prices``."""

    input_per_million: float
    output_per_million: float

    def __post_init__(self) -> None:
        for price in (self.input_per_million, self.output_per_million):
            if not (isfinite(price) and price >= 0):
                raise ConfigurationError(f"a price is a number of 0 or more, got {price!r}")


class Cost(NamedTuple):
    """An amount and its currency; both None where no price is known."""

    amount: float | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Prices of models, all in one currency: ``Prices(currency="USD", models={…})``.

    ``models`` goes by the name in ``llm_model``, or by ``provider/name`` where two providers serve
    a model of the same name. All replicas of an agent name the same currency.
    """

    currency: str
    models: Mapping[str, TokenPrice]
    _unpriced: set[str] = field(default_factory=set, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < len(self.currency) <= LONGEST_CURRENCY:
            raise ConfigurationError(
                f"Prices(currency={self.currency!r}) is a short name, like USD or EUR"
            )

    def of_call(self, provider: str, model: str, tokens: tuple[int, int]) -> Cost:
        """Return what a call of so many input and output tokens cost.

        Nobody knows it for a model without a price; the log says so once.
        """
        price = self.models.get(f"{provider}/{model}") or self.models.get(model)
        if price is None:
            self._say_once(provider, model)
            return Cost()
        spent = tokens[0] * price.input_per_million + tokens[1] * price.output_per_million
        return Cost(spent / MILLION, self.currency)

    def _say_once(self, provider: str, model: str) -> None:
        if model in self._unpriced:
            return
        self._unpriced.add(model)
        _log.warning(
            "model %r of %r has no price: its runs are told without a cost; name it in "
            "DurableAgent(prices=Prices(…))",
            model,
            provider,
        )


def cost_of(records: Iterable[StepRecord]) -> Cost:
    """Return what the model calls of a run cost together."""
    amounts, currencies = [], set()
    for record in records:
        if record.cost is None or record.currency is None:
            return Cost()
        amounts.append(record.cost)
        currencies.add(record.currency)
    return Cost(fsum(amounts), *currencies) if len(currencies) == 1 else Cost()
