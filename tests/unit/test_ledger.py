"""What `make test` counts of tests that failed in company and ran once more, alone."""

from __future__ import annotations

from dev.ledger import StageResult


def test_a_test_that_passes_alone_is_unsteady_and_counts_as_passed() -> None:
    first = StageResult(passed=8, failed=2, failures=("a", "b"))
    again = StageResult(passed=1, failed=1, failures=("b",))

    whole = first.after(again)

    assert (whole.passed, whole.failed) == (9, 1)
    assert (whole.unsteady, whole.failures) == (("a",), ("b",))


def test_what_stages_tell_adds_up() -> None:
    one = StageResult(passed=1, failed=1, failures=("a",), backends=("redis",))
    two = StageResult(passed=2, unsteady=("c",), backends=("embedded",))

    both = one + two

    assert (both.passed, both.failures, both.unsteady) == (3, ("a",), ("c",))
    assert both.backends == ("embedded", "redis")
