"""What last week's runs say of a rollout before it starts."""

from __future__ import annotations

from retunable.control.rollouts.starting import bad_rates
from retunable.release.store.run_events import Usage
from retunable.rollout.metrics import Metric

WEEK = Usage(
    runs=100,
    users=40,
    ended=100,
    failed=2,
    guarded=1,
    limited=0,
    latency_p95_ms=900,
    cost_p95=0.01,
)


def test_a_twentieth_of_stables_runs_is_slow_and_costly_by_what_the_words_mean() -> None:
    rates = bad_rates(WEEK)
    assert (rates[Metric.SLOW], rates[Metric.COSTLY]) == (0.05, 0.05)
    assert rates[Metric.ERROR] == 0.02
