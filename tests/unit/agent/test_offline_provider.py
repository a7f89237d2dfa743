"""The offline model."""

import json

import pytest

from retunable.agent.models.model import Message, ModelReply, ModelRequest, ToolSpec
from retunable.agent.models.offline_provider import OfflineProvider
from retunable.agent.models.persona import compose_system_prompt
from retunable.agent.tools.tool import tool
from retunable.config.agent_config import AgentConfig

PERSONA = compose_system_prompt(AgentConfig(role="Expert Data Scientist", goal="Find {{ it }}"))


@tool
def word_count(text: str, least: int, deep: bool = False) -> int:
    """Count words."""
    return len(text.split()) if deep else least


async def ask(
    *messages: Message, tools: tuple[ToolSpec, ...] = (), choice: str | None = None
) -> ModelReply:
    request = ModelRequest(
        model="offline", system_prompt=PERSONA, messages=messages, tools=tools, tool_choice=choice
    )
    return await OfflineProvider().complete(request)


async def test_the_answer_shows_the_persona_as_sent_and_the_question() -> None:
    reply = await ask(Message("user", "Who are you?"))
    assert reply.text == (
        "I am Expert Data Scientist. My goal is: Find {{ it }}. You asked: Who are you?"
    )


async def test_a_whole_system_prompt_is_shown_as_it_is() -> None:
    request = ModelRequest(model="m", system_prompt="Say yes.", messages=(Message("user", "?"),))
    reply = await OfflineProvider().complete(request)
    assert reply.text == "My system prompt is: Say yes. You asked: ?"


async def test_a_tool_that_the_message_names_is_called_with_fitting_arguments() -> None:
    question = Message("user", 'Please use word count on "a b c" with 2')
    reply = await ask(question, tools=(word_count.spec,))
    (call,) = reply.calls
    assert call.name == "word_count"
    assert json.loads(call.arguments) == {"text": "a b c", "least": 2}
    assert word_count.parse_arguments(call.arguments)


async def test_no_tool_is_called_that_the_message_does_not_name() -> None:
    assert (await ask(Message("user", "count my words"), tools=(word_count.spec,))).calls == ()


@pytest.mark.parametrize("choice", ["required", "word_count"])
async def test_a_forced_choice_calls_the_tool(choice: str) -> None:
    reply = await ask(Message("user", "hi"), tools=(word_count.spec,), choice=choice)
    assert [call.name for call in reply.calls] == ["word_count"]


async def test_the_result_of_a_tool_is_in_the_answer() -> None:
    question = Message("user", "word_count please")
    asked = await ask(question, tools=(word_count.spec,))
    reply = await ask(
        question,
        Message("assistant", "", asked.calls),
        Message("tool", "3", call_id=asked.calls[0].id),
        tools=(word_count.spec,),
    )
    assert reply.text.endswith("word_count answered: 3")
