"""What the model is told, and what becomes of a provider that refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from retunable.testing import answer, refusal
from tests.behaviour.agent_settings import DOCUMENT_KEY

if TYPE_CHECKING:
    from tests.behaviour.agent_process import AgentProcess
    from tests.behaviour.lab import Lab

TEMPLATES = "{{7*7}} {name} {% for x in y %}{{ x }}{% endfor %} ${7*7} #{7*7} %s %(name)s {0}"


def test_text_of_field_keys_reaches_the_model_as_written(lab: Lab, agent: AgentProcess) -> None:
    with lab.backend.writer() as write:
        write({"agent_role": TEMPLATES, "agent_goal": f"a goal {TEMPLATES}"})
    agent.wait_values({"role": TEMPLATES, "goal": f"a goal {TEMPLATES}"})
    agent.answer(TEMPLATES)
    assert lab.told().count(TEMPLATES) == 2
    assert lab.model.requests[-1].messages[-1]["content"] == TEMPLATES


def test_text_of_a_document_reaches_the_model_as_written(lab: Lab, agent: AgentProcess) -> None:
    lab.backend.set(DOCUMENT_KEY, json.dumps({"system_prompt": TEMPLATES}))
    agent.wait_values({"system_prompt": TEMPLATES})
    agent.answer()
    assert lab.told() == TEMPLATES


def test_a_change_is_what_the_next_run_asks_for(lab: Lab, agent: AgentProcess) -> None:
    batch = {"role": "a critic", "model": "another-model", "temperature": 0.25, "max_tokens": 99}
    lab.backend.set(DOCUMENT_KEY, json.dumps(batch))
    agent.wait_values(batch)
    agent.answer()
    request = lab.model.requests[-1]
    assert "a critic" in request.system_prompt
    assert request.body["model"] == "another-model"
    assert request.body["temperature"] == 0.25
    assert request.body["max_tokens"] == 99


def test_a_key_that_the_provider_refuses_shows_in_the_status(lab: Lab, agent: AgentProcess) -> None:
    lab.model.answer_always(refusal(401, code="invalid_api_key", message="Incorrect API key"))
    response = agent.run()
    assert response.status_code == 502, response.text
    shown = agent.config()["provider_refusal"]
    assert "key" in shown
    assert "sk-of-the-suite" not in agent.log()
    lab.model.answer_always(answer("Well again."))
    agent.answer()
    assert agent.config()["provider_refusal"] is None


def test_a_model_that_the_provider_refuses_shows_with_where_it_was_set(
    lab: Lab, agent: AgentProcess
) -> None:
    lab.backend.set("llm_model", "no-such-model")
    agent.wait_values({"model": "no-such-model"})
    lab.model.answer_always(refusal(404, code="model_not_found", message="does not exist"))
    response = agent.run()
    assert response.status_code == 502, response.text
    shown = agent.config()["provider_refusal"]
    assert "no-such-model" in shown
    assert "llm_model" in shown
