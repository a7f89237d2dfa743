"""The guardrails of an agent as the loop uses them."""

from __future__ import annotations

from retunable.agent.guardrails.function import registered_guardrails
from retunable.agent.guardrails.guard import Guardrails
from retunable.agent.models.model import ToolCall
from retunable.agent.tools.threads import ToolThreads
from retunable.config.agent_config import AgentConfig

GUARD = Guardrails(registered_guardrails(), threads=ToolThreads())
CONFIG = AgentConfig(guardrails={"blocked_terms": {"terms": ["bomb"]}})


async def test_what_passes_has_no_notice() -> None:
    call = ToolCall("c1", "look", '{"for": "bread"}')
    assert await GUARD.check_answer(CONFIG, "bread") is None
    assert await GUARD.check_call(CONFIG, call) is None


async def test_an_answer_that_does_not_pass_is_told_to_the_model() -> None:
    notice = await GUARD.check_answer(CONFIG, "a bomb")
    assert notice is not None
    assert "blocked_terms: leave out 'bomb'" in notice


async def test_a_call_that_does_not_pass_is_told_to_the_model() -> None:
    notice = await GUARD.check_call(CONFIG, ToolCall("c1", "look", '{"for": "bomb"}'))
    assert notice is not None
    assert notice.startswith("look was not called")


async def test_the_checks_are_those_of_the_config_given() -> None:
    assert await GUARD.check_answer(AgentConfig(), "a bomb") is None
