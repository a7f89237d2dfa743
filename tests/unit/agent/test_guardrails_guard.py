"""The guardrails of an agent as the loop uses them."""

from __future__ import annotations

from retunable.agent.guardrails.function import registered_guardrails
from retunable.agent.guardrails.guard import Guardrails
from retunable.agent.guardrails.proposal import Answer, ProposedCall
from retunable.agent.tools.threads import ToolThreads
from retunable.config.agent_config import AgentConfig

GUARD = Guardrails(registered_guardrails(), threads=ToolThreads())
CONFIG = AgentConfig(guardrails={"blocked_terms": {"terms": ["bomb"]}})


async def test_what_passes_has_a_verdict_too() -> None:
    verdict = await GUARD.judge(CONFIG, Answer("bread"))
    assert verdict.passed
    assert [check.name for check in verdict.checks] == ["blocked_terms"]


async def test_an_answer_and_a_call_that_do_not_pass_say_why() -> None:
    for proposal in (Answer("a bomb"), ProposedCall("look", '{"for": "bomb"}')):
        verdict = await GUARD.judge(CONFIG, proposal)
        assert "blocked_terms: leave out 'bomb'" in verdict.reasons


async def test_the_checks_are_those_of_the_config_given() -> None:
    assert (await GUARD.judge(AgentConfig(), Answer("a bomb"))).checks == ()
