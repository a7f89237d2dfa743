"""What a model's reply leads to."""

import pytest

from retunable.agent.loop.decision import (
    CallTools,
    Finished,
    PlannedCall,
    decide,
    offered_tools,
    tool_choice_at,
)
from retunable.agent.models.model import Finish, ModelReply, ToolCall
from retunable.config.agent_config import AgentConfig

ASKED = ToolCall("c1", "search", "{}")


def test_a_reply_without_calls_is_the_answer() -> None:
    reply = ModelReply(text="42")
    assert decide(reply, step=1, max_iterations=5, offered=()) == Finished("42", "answer")


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_tokens"), ("filtered", "content_filter")]
)
def test_a_cut_answer_says_what_cut_it(finish: Finish, reason: str) -> None:
    decision = decide(ModelReply(text="4", finish=finish), step=1, max_iterations=5, offered=())
    assert decision == Finished("4", reason)  # type: ignore[arg-type]


def test_calls_below_the_limit_are_run() -> None:
    reply = ModelReply(text="I look", calls=(ASKED,))
    decision = decide(reply, step=1, max_iterations=2, offered=("search",))
    assert decision == CallTools("I look", (PlannedCall(ASKED),))


def test_no_tool_runs_at_the_limit() -> None:
    reply = ModelReply(text="so far: 3", calls=(ASKED,))
    decision = decide(reply, step=2, max_iterations=2, offered=("search",))
    assert decision == Finished("so far: 3", "max_iterations")


def test_a_stop_without_any_text_says_so_in_plain_words() -> None:
    decision = decide(ModelReply(text="", calls=(ASKED,)), step=1, max_iterations=1, offered=())
    assert isinstance(decision, Finished)
    assert "limit of 1 model call," in decision.text


def test_a_call_of_a_tool_that_is_not_offered_is_answered_with_the_ones_that_are() -> None:
    decision = decide(
        ModelReply(text="", calls=(ASKED,)), step=1, max_iterations=5, offered=("add", "sub")
    )
    assert isinstance(decision, CallTools)
    assert decision.calls[0].refusal == "There is no tool 'search' here; the tools are: add, sub."


def test_without_an_allow_list_every_registered_tool_is_offered() -> None:
    assert offered_tools(AgentConfig(), ["b", "a"]) == ("b", "a")


def test_the_allow_list_keeps_the_order_of_registration() -> None:
    assert offered_tools(AgentConfig(tools=("a", "c")), ["c", "b", "a"]) == ("c", "a")


def test_an_empty_allow_list_offers_nothing() -> None:
    assert offered_tools(AgentConfig(tools=()), ["a"]) == ()


@pytest.mark.parametrize(
    ("choice", "first", "second"),
    [
        (None, None, None),
        ("auto", "auto", "auto"),
        ("none", "none", "none"),
        ("required", "required", "auto"),
        ("search", "search", "auto"),
    ],
)
def test_a_forced_choice_holds_for_the_first_step_only(
    choice: str | None, first: str | None, second: str | None
) -> None:
    config = AgentConfig(tool_choice=choice)
    assert (tool_choice_at(config, 1), tool_choice_at(config, 2)) == (first, second)
