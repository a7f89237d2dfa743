"""The system prompt of a config."""

import pytest

from retunable.agent.models.persona import compose_system_prompt
from retunable.config.agent_config import AgentConfig


def test_every_part_is_in_the_prompt_in_a_fixed_order() -> None:
    config = AgentConfig(
        role="Expert Data Scientist",
        goal="Find the cause",
        instructions=("Look first", "Then speak"),
        style_guidelines=("Be brief",),
    )
    assert compose_system_prompt(config) == (
        "You are Expert Data Scientist.\n\nYour goal: Find the cause.\n\n"
        "Instructions:\n- Look first\n- Then speak\n\nStyle guidelines:\n- Be brief"
    )


def test_parts_that_are_not_set_leave_no_trace() -> None:
    assert compose_system_prompt(AgentConfig(goal="Help.")) == "Your goal: Help."


def test_a_config_that_says_nothing_has_no_prompt() -> None:
    assert compose_system_prompt(AgentConfig()) == ""


def test_a_system_prompt_replaces_the_persona() -> None:
    config = AgentConfig(role="Chef", system_prompt="You only say yes")
    assert compose_system_prompt(config) == "You only say yes"


@pytest.mark.parametrize(
    "text", ["{{7*7}}", "{name}", "{% if x %}", "%(a)s", "$HOME", "{0}", "\\n"]
)
def test_text_reaches_the_model_as_written(text: str) -> None:
    config = AgentConfig(role=text, goal=text, instructions=(text,), style_guidelines=(text,))
    assert compose_system_prompt(config).count(text) == 4
