"""Judging proposals: verdicts, functions of the program, settings that are refused."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from retunable.agent.guardrails.check import Verdict, explain_to_model
from retunable.agent.guardrails.function import as_guardrail, guardrail, registered_guardrails
from retunable.agent.guardrails.judge import check_settings, judge
from retunable.agent.guardrails.proposal import Answer, Proposal, ProposedCall
from retunable.agent.tools.threads import ToolThreads
from retunable.config.agent_config import AgentConfig
from retunable.errors import ConfigurationError

CALL = ProposedCall("pay", '{"amount": 5, "to": "Ann"}')


async def verdict(
    guardrails: dict[str, Any], proposal: Proposal, *checks: object, threshold: float = 0.5
) -> Verdict:
    config = AgentConfig(guardrails=guardrails, guardrail_threshold=threshold)
    registered = registered_guardrails(checks)
    assert check_settings(guardrails, registered) == []
    return await judge(config, proposal, registered=registered, threads=ToolThreads())


async def reasons(guardrails: dict[str, Any], proposal: Proposal) -> str:
    return (await verdict(guardrails, proposal)).reasons


async def test_without_checks_everything_passes() -> None:
    assert await verdict({}, Answer("x")) == Verdict()


LENGTH = {"length": {"max_characters": 5}}


@pytest.mark.parametrize(
    ("guardrails", "proposal", "said"),
    [
        (LENGTH, Answer("12345"), ""),
        (LENGTH, Answer("123456"), "length: use at most 5 characters, not 6"),
        (LENGTH, ProposedCall("f", '{"a":1}'), "length: use at most 5 characters, not 7"),
        ({"length": {"max_characters": 5, "on": ["answer"]}}, CALL, ""),
        ({"blocked_terms": {"terms": ["Ann"]}}, CALL, "blocked_terms: leave out 'Ann'"),
        ({"blocked_terms": {"terms": ["Ann"], "on": ["answer"]}}, CALL, ""),
        (
            {"personal_data": {"kinds": ["email", "iban"]}},
            Answer("ask ann@example.com"),
            "personal_data: leave out an e-mail address",
        ),
        ({"personal_data": {"kinds": ["iban"]}}, Answer("ask ann@example.com"), ""),
    ],
)
async def test_built_in_checks(guardrails: dict[str, Any], proposal: Proposal, said: str) -> None:
    assert await reasons(guardrails, proposal) == said


async def test_escapes_in_arguments_hide_nothing() -> None:
    call = ProposedCall("f", '{"a": {"b": ["\\u0042omb"]}}')
    assert await reasons({"blocked_terms": {"terms": ["bomb"]}}, call) != ""


async def test_neither_a_doubled_name_nor_a_key_nor_a_number_hides_something() -> None:
    texts = ('{"a": "bomb", "a": ""}', '{"bomb": 1}', "bomb")
    for arguments in texts:
        call = ProposedCall("f", arguments)
        assert await reasons({"blocked_terms": {"terms": ["bomb"]}}, call) != ""
    card = ProposedCall("f", '{"a": 4111111111111111}')
    assert await reasons({"personal_data": {"kinds": ["credit_card"]}}, card) != ""


async def test_what_was_found_is_not_repeated_where_it_is_personal() -> None:
    said = await reasons({"personal_data": {"kinds": ["email"]}}, Answer("ann@example.com"))
    assert "ann" not in said


async def test_a_long_proposal_is_judged_beside_the_event_loop() -> None:
    config = AgentConfig(guardrails={"blocked_terms": {"terms": ["bomb"]}})
    threads = ToolThreads(max_abandoned=0)  # refuses whatever wants a thread
    long = Answer("x " * 20_000)
    result = await judge(config, long, registered=registered_guardrails(), threads=threads)
    assert result.checks[0].broken


RULES = {
    "pay": {
        "amount": {"min": 1, "max": 100},
        "to": ["Ann", "Bob", None],
        "url": {"pattern": "https://example.com/*"},
        "level": [1, 2.5],
    }
}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"amount": 1, "to": "Ann"}', ""),
        ('{"amount": 100.0}', ""),
        ('{"amount": 100.5}', "amount must be a number from 1 to 100, not 100.5"),
        ('{"amount": "5"}', "amount must be a number from 1 to 100, not '5'"),
        ('{"amount": true}', "amount must be a number from 1 to 100, not True"),
        ('{"amount": NaN}', "amount must be a number from 1 to 100, not nan"),
        ('{"amount": 1, "amount": 5000}', "a name stands twice in the arguments"),
        ('{"to": "Eve"}', "to must be one of 'Ann', 'Bob', None, not 'Eve'"),
        ('{"to": "ann"}', "to must be one of 'Ann', 'Bob', None, not 'ann'"),
        ('{"to": null}', ""),
        ('{"to": ["Ann", "Bob"]}', ""),
        ('{"to": ["Ann", "Eve"]}', "to must be one of 'Ann', 'Bob', None, not 'Eve'"),
        ('{"to": {"name": "Ann"}}', "to must be one of 'Ann', 'Bob', None, not {'name': 'Ann'}"),
        ('{"level": 1.0}', ""),
        ('{"level": true}', "level must be one of 1, 2.5, not True"),
        ('{"url": "https://example.com/a"}', ""),
        (
            '{"url": "https://example.com.evil/"}',
            "url must be a text like 'https://example.com/*' (* is any text), "
            "not 'https://example.com.evil/'",
        ),
        ("", ""),
        ("[1]", "the arguments are no JSON object"),
        ('{"a":' * 100_000, "the arguments are nested too deep"),
    ],
)
async def test_allowed_arguments(arguments: str, said: str) -> None:
    expected = f"allowed_arguments: {said}" if said else ""
    rules = {"allowed_arguments": RULES}
    assert await reasons(rules, ProposedCall("pay", arguments)) == expected


async def test_allowed_arguments_bind_neither_other_tools_nor_answers() -> None:
    rules = {"allowed_arguments": RULES}
    assert await reasons(rules, ProposedCall("look", '{"amount": 5000}')) == ""
    assert await reasons(rules, Answer('{"amount": 5000}')) == ""


@guardrail
def polite(proposal: Proposal) -> float:
    """Be polite.

    This is for people.
    """
    return 0.4 if isinstance(proposal, Answer) else 1


async def test_a_function_of_the_program_scores() -> None:
    result = await verdict({"polite": {}}, Answer("no"), polite)
    assert result.reasons == "polite: Be polite. (scored 0.4, needs 0.5)"


@pytest.mark.parametrize(("threshold", "passed"), [(0.3, True), (0.4, True), (0.5, False)])
async def test_a_score_passes_at_or_above_the_threshold(threshold: float, passed: bool) -> None:
    result = await verdict({"polite": {}}, Answer("no"), polite, threshold=threshold)
    assert result.passed is passed


async def test_a_function_may_be_on_one_of_the_two_only() -> None:
    assert (await verdict({"polite": {"on": ["tool_call"]}}, Answer("no"), polite)).passed


async def test_an_async_function_is_judged_on_the_callers_loop() -> None:
    loops: list[object] = []

    async def here(proposal: Proposal) -> float:
        loops.append(asyncio.get_running_loop())
        return 1.0

    assert (await verdict({"here": {}}, CALL, here)).passed
    assert loops == [asyncio.get_running_loop()]


async def test_a_plain_function_does_not_hold_the_loop() -> None:
    where: list[threading.Thread] = []

    def there(proposal: Proposal) -> bool:
        where.append(threading.current_thread())
        return True

    assert (await verdict({"there": {}}, CALL, there)).passed
    assert where[0] is not threading.current_thread()


async def test_a_check_that_raises_passes_nothing_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(proposal: Proposal) -> float:
        raise LookupError("secret detail")

    with caplog.at_level(logging.WARNING, "retunable"):
        result = await verdict({"broken": {}}, CALL, broken, threshold=0)
    assert result.reasons == "broken: the check itself failed (LookupError)"
    assert "secret detail" in caplog.text


async def test_a_check_that_hangs_passes_nothing() -> None:
    @guardrail(timeout_seconds=0.01)
    async def hangs(proposal: Proposal) -> float:
        await asyncio.Event().wait()
        return 1.0

    result = await verdict({"hangs": {}}, CALL, hangs)
    assert result.reasons == "hangs: the check ran out of time"


async def test_a_plain_check_that_hangs_passes_nothing() -> None:
    let_go = threading.Event()

    @guardrail(timeout_seconds=0.01)
    def hangs(proposal: Proposal) -> float:
        let_go.wait(10)
        return 1.0

    assert not (await verdict({"hangs": {}}, CALL, hangs)).passed
    let_go.set()


@pytest.mark.parametrize("returned", [1.01, -0.1, float("nan"), "1", None])
async def test_what_is_no_score_passes_nothing(returned: Any) -> None:
    def odd(proposal: Proposal) -> float:
        result: float = returned
        return result

    assert (await verdict({"odd": {}}, CALL, odd)).checks[0].broken


async def test_a_check_that_the_program_lost_passes_nothing() -> None:
    config = AgentConfig(guardrails={"gone": {}})
    result = await judge(config, CALL, registered={}, threads=ToolThreads())
    assert result.reasons == "gone: this program has no such check"


async def test_all_checks_run_and_all_failures_are_told() -> None:
    guardrails: dict[str, Any] = {**LENGTH, "polite": {}, "blocked_terms": {"terms": ["bad"]}}
    answer = Answer("bad answer")
    assert explain_to_model(answer, await verdict(guardrails, answer, polite)) == (
        "Your answer was not given to the user, for it did not pass:\n"
        "- length: use at most 5 characters, not 10\n"
        "- polite: Be polite. (scored 0.4, needs 0.5)\n"
        "- blocked_terms: leave out 'bad'\n"
        "Answer again in a way that passes."
    )


async def test_a_refused_call_is_told_by_its_tool() -> None:
    result = await verdict({"blocked_terms": {"terms": ["Ann"]}}, CALL)
    assert explain_to_model(CALL, result).startswith("pay was not called, for the call did not")


async def test_a_verdict_is_kept_as_json() -> None:
    result = await verdict({**LENGTH, "polite": {}}, Answer("long answer"), polite)
    assert Verdict.from_json(result.to_json()) == result


async def test_text_of_a_config_is_never_run() -> None:
    terms = ["{{ 1/0 }}", "(a+)+$", "{proposal}", "%s"]
    result = await verdict({"blocked_terms": {"terms": terms}}, Answer("x {{ 1/0 }} aaaa"))
    assert result.reasons == "blocked_terms: leave out '{{ 1/0 }}'"


TOOLS = {"pay": ("amount", "to")}


@pytest.mark.parametrize(
    ("guardrails", "reason"),
    [
        ({"lenght": {}}, "names the check 'lenght', which is none of: blocked_terms, length"),
        ({"length": {}}, "length: max_characters: Field required"),
        ({"length": {"max_characters": 0}}, "length: max_characters: must be greater than"),
        ({"length": {"max_characters": "9"}}, "length: max_characters: must be a valid integer"),
        ({"length": {"max": 9, "max_characters": 9}}, "length: max: Extra inputs"),
        ({"length": {"max_characters": 9, "on": []}}, "length: on: List should have at least 1"),
        ({"length": {"max_characters": 9, "on": ["reply"]}}, "length: on.0: must be 'answer' or"),
        ({"blocked_terms": {"terms": []}}, "blocked_terms: terms: List should have at least 1"),
        ({"blocked_terms": {"terms": [" "]}}, "blocked_terms: terms.0: must hold 1 to 32 words"),
        ({"blocked_terms": {"terms": ["a " * 40]}}, "terms.0: must hold 1 to 32 words"),
        ({"blocked_terms": {"terms": ["a"] * 2001}}, "should have at most 2000"),
        ({"personal_data": {"kinds": ["name"]}}, "personal_data: kinds.0: must be 'email',"),
        ({"polite": {"tone": "kind"}}, "polite: tone: Extra inputs"),
        ({"allowed_arguments": {"pay": {}}}, "allowed_arguments: pay: Dictionary should have at"),
        ({"allowed_arguments": {"pay": {"amount": []}}}, "pay.amount: List should have at least"),
        ({"allowed_arguments": {"pay": {"amount": {}}}}, 'pay.amount: needs "min", "max" or'),
        ({"allowed_arguments": {"pay": {"amount": {"min": 2, "max": 1}}}}, "min is above max"),
        ({"allowed_arguments": {"pay": {"amount": {"min": "1"}}}}, "pay.amount.min"),
        ({"allowed_arguments": {"pay": {"amount": [[1]]}}}, "pay.amount.0"),
        ({"allowed_arguments": {"pay": {"to": {"regex": ".*"}}}}, "pay.to.regex: Extra inputs"),
        ({"allowed_arguments": {"pay": 3}}, "allowed_arguments: pay: must be"),
        ({"allowed_arguments": {"send": {"to": ["a"]}}}, "'send' is no tool of this program"),
        ({"allowed_arguments": {"pay": {"cc": ["a"]}}}, "tool 'pay' has no argument 'cc'"),
    ],
)
def test_settings_that_cannot_work_are_named(guardrails: dict[str, Any], reason: str) -> None:
    found = check_settings(guardrails, registered_guardrails([polite]), tools=TOOLS)
    assert len(found) >= 1
    assert any(reason in said for said in found), found


def test_settings_that_work_have_no_reasons() -> None:
    guardrails = {
        **LENGTH,
        "blocked_terms": {"terms": ["a b"], "on": ["answer"]},
        "personal_data": {"kinds": ["email", "phone", "credit_card", "iban"]},
        "allowed_arguments": {"pay": {"amount": {"max": 10}, "to": ["Ann"]}},
        "polite": {},
    }
    assert check_settings(guardrails, registered_guardrails([polite]), tools=TOOLS) == []


def test_a_plain_function_is_made_a_guardrail() -> None:
    def brief(proposal: Proposal) -> float:
        """Be brief."""
        return 1.0

    assert (as_guardrail(brief).name, as_guardrail(brief).description) == ("brief", "Be brief.")


def test_a_guardrail_is_still_the_function() -> None:
    assert polite(Answer("x")) == 0.4


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        (["polite"], "takes functions"),
        ([polite, polite], "there already"),
        ([guardrail(name="length")(lambda _: 1.0)], "built in"),
    ],
)
def test_guardrails_that_cannot_be_registered_are_refused(checks: list[Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        registered_guardrails(checks)


def test_a_name_that_no_key_should_have_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"@guardrail\(name="):
        guardrail(lambda _: 1.0)


def test_a_function_of_other_arguments_is_refused() -> None:
    def two(proposal: Proposal, other: int) -> float:
        return 1.0

    with pytest.raises(ConfigurationError, match="must take one argument"):
        guardrail(two)  # type: ignore[arg-type]  # wrong on purpose
