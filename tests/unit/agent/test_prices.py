"""What model calls cost, by the prices that a program names."""

from __future__ import annotations

import logging
from dataclasses import replace
from math import inf, nan

import pytest

from retunable import ConfigurationError, Prices, TokenPrice
from retunable.agent.models.prices import Cost, cost_of
from tests.unit.agent.test_run_documents import RECORD

CHEAP = TokenPrice(input_per_million=0.5, output_per_million=2)
DEAR = TokenPrice(input_per_million=5, output_per_million=20)
PRICES = Prices(currency="EUR", models={"small": CHEAP, "elsewhere/small": DEAR})


def test_a_call_costs_what_its_tokens_cost() -> None:
    assert PRICES.of_call("openai", "small", (1_000_000, 500_000)) == Cost(1.5, "EUR")


def test_a_price_of_a_provider_stands_above_that_of_the_model_alone() -> None:
    assert PRICES.of_call("elsewhere", "small", (1_000_000, 0)) == Cost(5, "EUR")


def test_a_model_without_a_price_has_no_cost_and_is_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    prices = replace(PRICES)
    with caplog.at_level(logging.WARNING, "retunable"):
        told = [prices.of_call("openai", "large", (10, 10)) for _ in range(3)]

    assert told == [Cost()] * 3
    assert ["'large'" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("price", [-1.0, inf, nan])
def test_a_price_is_a_number_of_0_or_more(price: float) -> None:
    with pytest.raises(ConfigurationError, match="a price is a number"):
        TokenPrice(input_per_million=price, output_per_million=0)


@pytest.mark.parametrize("currency", ["", "C" * 17])
def test_a_currency_is_a_short_name(currency: str) -> None:
    with pytest.raises(ConfigurationError, match="USD"):
        Prices(currency=currency, models={})


@pytest.mark.parametrize(
    ("calls", "cost"),
    [
        ([Cost(0.25, "EUR"), Cost(0.5, "EUR")], Cost(0.75, "EUR")),
        ([Cost(0.25, "EUR"), Cost()], Cost()),
        ([Cost(0.25, "EUR"), Cost(0.5, "USD")], Cost()),
        ([], Cost()),
    ],
)
def test_a_run_costs_what_its_calls_cost_where_each_is_known(calls: list[Cost], cost: Cost) -> None:
    records = [replace(RECORD, cost=call.amount, currency=call.currency) for call in calls]
    assert cost_of(records) == cost
