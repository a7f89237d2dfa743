"""What the text checks find, what they leave alone, and that their time is bounded by size."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retunable.agent.guardrails.arguments import fits
from retunable.agent.guardrails.folding import fold
from retunable.agent.guardrails.personal_data import Kind, kinds_in, passes_luhn, passes_mod_97
from retunable.agent.guardrails.terms import Terms

KINDS: tuple[Kind, ...] = ("email", "phone", "credit_card", "iban")


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("bomb", "A BOMB."),
        ("bomb", "bomb"),
        ("straße", "STRASSE"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("file", "ﬁle"),
        ("bomb", "ｂｏｍｂ"),
        ("bomb", "b\u200bo\u00adm\ufeffb"),
        ("bomb", "b\u0336o\u0336m\u0336b"),
        ("café", "cafe\u0301"),
        ("credit card", "credit\n  card"),
        ("C++", "c++ or d"),
        ("$cash", "get $cash now"),
        ("爆弹", "这是爆弹。"),
        ("폭탄", "폭탄을"),
        ("a b c", "a a b c"),
    ],
)
def test_a_term_is_found(term: str, text: str) -> None:
    assert Terms([term]).found_in(text) == [term]


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("ass", "class passes assets"),
        ("bomb", "bombastic"),
        ("bomb", "bomb_1"),
        ("credit card", "credit-card creditcard"),
        ("$cash", "$cashier"),
        ("a b", "a"),
        ("pêche", "péché"),
        ("(a+)+", "aaaa"),
    ],
)
def test_what_only_looks_like_a_term_is_left_alone(term: str, text: str) -> None:
    assert Terms([term]).found_in(text) == []


def test_of_terms_that_overlap_all_are_found() -> None:
    assert Terms(["b c", "a b c d", "b", "zz"]).found_in("a b c d") == ["a b c d", "b", "b c"]


WORDS = st.text(alphabet=string.ascii_letters + "äßéЖ日", min_size=1, max_size=6)


@given(before=st.lists(WORDS), term=st.lists(WORDS, min_size=1, max_size=4), after=st.lists(WORDS))
def test_a_term_between_other_words_is_always_found(
    before: list[str], term: list[str], after: list[str]
) -> None:
    written = " ".join(term)
    assert Terms([written]).found_in(" ".join([*before, *term, *after])) == [written]


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(), st.booleans())
def test_case_makes_no_difference_in_ascii(text: str, upper: bool) -> None:
    ascii_text = text.encode("ascii", "ignore").decode()
    assert fold(ascii_text.upper() if upper else ascii_text.lower()) == fold(ascii_text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "write to ann.lee+x@mail.example.co.uk."),
        ("email", "ANN@EXAMPLE.COM"),
        ("email", "ann＠example.com"),
        ("email", "用户@例子.广告"),
        ("email", "a@xn--fsq.xn--0zwm56d"),
        ("phone", "+49 30 1234567"),
        ("phone", "+1 (212) 555-0123"),
        ("phone", "+4915112345678"),
        ("phone", "0049 30 123-4567"),
        ("phone", "(212) 555-0123"),
        ("phone", "212-555-0123"),
        ("phone", "1-800-555-0199"),
        ("phone", "01 23 45 67 89"),
        ("phone", "0171/12345678"),
        ("phone", "call 02079460123"),
        ("credit_card", "4111 1111 1111 1111"),
        ("credit_card", "4111-1111-1111-1111"),
        ("credit_card", "4111111111111111"),
        ("credit_card", "card 4111 1111 1111 1111 123 12/27"),
        ("credit_card", "12 4111 1111 1111 1111"),
        ("credit_card", "3782 822463 10005"),
        ("credit_card", "378282246310005"),
        ("credit_card", "2223003122003222"),
        ("credit_card", "3056 930902 5904"),
        ("credit_card", "４１１１ 1111 1111 1111"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "de89370400440532013000, please"),
        ("iban", "GB82-WEST-1234-5698-7654-32"),
        ("iban", "NO93 8601 1117 947 and more"),
        ("iban", "IBAN:MT84 MALT 0110 0001 2345 MTLC AST0 01S"),
    ],
)
def test_personal_data_is_found(kind: Kind, text: str) -> None:
    assert kind in kinds_in(text, KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "no data at all",
        "@example.com, a@b, a@b.1, 5 @ 3.50",
        "2024-01-02 10:30:00",
        "01/02/2024 10:30",
        "01-02-2024 10",
        "01.02.2024 10:30",
        "1700000000000",
        "192.168.100.200",
        "version 1.2.3-456",
        "pi is 3.14159265358979",
        "0.1234567890",
        "300 400 5000",
        "order 0012345678",
        "4111 1111 1111 1112",
        "41111111111111111111111",
        "411-111-111",
        "DE88 3704 0044 0532 0130 00",
        "DE89 3704 0044 0532 0130 001",
        "XX89 3704 0044 0532 0130 00",
        "+5 +6 +7",
    ],
)
def test_what_is_no_personal_data_is_left_alone(text: str) -> None:
    assert kinds_in(text, KINDS) == []


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_kinds_asked_for_are_looked_for(kind: Kind) -> None:
    everything = "a@b.de, +49 30 1234567, 4111111111111111, DE89370400440532013000"
    assert kinds_in(everything, (kind,)) == [kind]


DIGITS = st.text(alphabet=string.digits, min_size=12, max_size=15)


@given(DIGITS)
def test_one_of_ten_check_digits_passes_luhn(digits: str) -> None:
    assert sum(passes_luhn(digits + check) for check in string.digits) == 1


@given(DIGITS, st.integers(0, 11), st.integers(1, 9))
def test_luhn_notices_any_wrong_digit(digits: str, place: int, change: int) -> None:
    right = digits + next(c for c in string.digits if passes_luhn(digits + c))
    wrong = str((int(right[place]) + change) % 10)
    assert not passes_luhn(right[:place] + wrong + right[place + 1 :])


@given(st.text(alphabet=string.digits + string.ascii_lowercase, min_size=11, max_size=30))
def test_one_of_the_check_numbers_of_an_account_passes_mod_97(account: str) -> None:
    passing = [n for n in range(2, 99) if passes_mod_97(f"de{n:02}{account}")]
    assert len(passing) == 1


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert set(kinds_in(text, KINDS)) <= set(KINDS)


@given(st.lists(st.text(alphabet="ab"), min_size=1), st.text(alphabet="abc"))
def test_a_pattern_fits_whatever_stands_for_its_stars(parts: list[str], filling: str) -> None:
    assert fits("*".join(parts), filling.join(parts))


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("abc", "abc", True),
        ("abc", "abcd", False),
        ("a*", "a", True),
        ("a*a", "a", False),
        ("*b*", "abc", True),
        ("a*b*c", "acb", False),
        ("a*bc*bc", "abc", False),
        ("*", "", True),
        ("", "", True),
        ("", "a", False),
        (".*", "x", False),
        ("[ab]", "a", False),
        ("a?c", "abc", False),
    ],
)
def test_a_pattern_knows_the_star_only(pattern: str, text: str, expected: bool) -> None:
    assert fits(pattern, text) is expected


# Each repeated to a given size; chosen against the expressions that would look at them twice.
HOSTILE = (
    "a",
    "4",
    "4111 ",
    "a@",
    "@a.",
    "a" * 63 + ".",
    "@" + ("a" * 63 + ".") * 8,
    "+1 ",
    "+1(((",
    "0 ",
    "01 ",
    "001 ",
    "(",
    "1-212-",
    "de89 ",
    "de89",
    "\u0300\u0323",
    "\uff9e\u0300",
    "\ufdfa",
    "b\u200b",
    "a b ",
)


def seconds_for(text: str) -> float:
    terms = Terms(["a", "a a", "a b a b a b c", "4111 4111 x", "b"])
    began = time.thread_time()
    kinds_in(text, KINDS)
    terms.found_in(text)
    return time.thread_time() - began


@pytest.mark.parametrize("piece", HOSTILE, ids=ascii)
def test_time_grows_with_the_size_and_no_faster(piece: str) -> None:
    """Eight times the text takes about eight times as long; squared it would be 64 times."""
    small, large = (piece * (size // len(piece)) for size in (10_000, 80_000))
    shortest = min(seconds_for(small) for _ in range(3))
    assert min(seconds_for(large) for _ in range(3)) < 24 * shortest + 0.05


def test_a_star_pattern_takes_no_longer_than_the_text() -> None:
    began = time.thread_time()
    assert not fits("a*" * 200 + "b", "a" * 200_000)
    assert not fits("*a" * 200 + "b*", "a" * 200_000)
    assert time.thread_time() - began < 0.5
