"""What a program may declare; nothing runs, nothing is asked of a network."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from retunable import (
    ConfigSubscription,
    ConfigurationError,
    Constraints,
    DurableAgent,
    NotReady,
    OfflineProvider,
    OpenAIProvider,
    Secret,
    Status,
)


def len_of(text: str) -> int:
    """Measure a text."""
    return len(text)


def agent(**arguments: Any) -> DurableAgent:
    return DurableAgent(**{"name": "config-aware-agent", "model": "small"} | arguments)


def test_arguments_become_the_code_defaults() -> None:
    declared = agent(role="R", instructions="one", tools=[len_of], max_iterations=3)
    defaults = declared.declaration.defaults
    assert (defaults.role, defaults.instructions, defaults.max_iterations) == ("R", ("one",), 3)
    assert defaults.tools is None


def test_constraints_know_the_registered_tools_and_providers() -> None:
    constraints = agent(
        tools=[len_of], constraints=Constraints(max_tokens=9)
    ).declaration.constraints
    assert constraints.registered_tools == ("len_of",)
    assert constraints.registered_providers == ("openai", "offline")
    assert constraints.max_tokens == 9


def test_the_subscription_says_where_the_keys_are() -> None:
    declared = agent(configuration=ConfigSubscription(prefix="support/", config_key="helper"))
    assert declared.declaration.keys[0] == "support/helper"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "!!!"}, "config_key="),
        ({"model": None}, "model must be set"),
        ({"temperature": 9}, "temperature"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"provider": "mine"}, "'mine' is not a provider"),
        ({"tools": [1]}, "takes functions"),
        ({"tools": [len_of, len_of]}, "two tools are named 'len_of'"),
        ({"tools": [len]}, "an ordinary parameter"),
        ({"tool_choice": "search"}, "'search' is not among"),
        ({"pin": "week"}, "must be one of call, turn, conversation"),
        ({"constraints": Constraints(models={"big"})}, "'small' is not a model"),
        ({"configuration": ConfigSubscription(accept="releases")}, "signed releases"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused_with_the_fix(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        agent(**arguments)


@pytest.mark.parametrize("key", ["sk-in-the-code", 7])
def test_a_key_itself_is_no_key_source(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="names where the key is"):
        OpenAIProvider(api_key=key)


@pytest.mark.parametrize("name", ["secretstore", "/key", "secretstore/"])
def test_a_secret_names_store_and_key(name: str) -> None:
    with pytest.raises(ConfigurationError, match="secretstore/openai-key"):
        Secret(name)


async def test_without_its_key_an_agent_refuses_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="the environment variable OPENAI_API_KEY"):
        await agent(configuration=None).start()


def test_an_agent_that_is_not_started_says_so() -> None:
    declared = agent()
    assert declared.status.state is Status.NOT_READY
    with pytest.raises(NotReady, match="not started"):
        _ = declared.snapshot


def test_a_provider_may_have_any_name() -> None:
    assert agent(provider="mine", providers={"mine": OfflineProvider()}).name


def test_importing_and_declaring_import_neither_the_sdk_nor_openai() -> None:
    code = (
        "import sys; from retunable import DurableAgent, ConfigSubscription;"
        "DurableAgent('a', model='m', configuration=ConfigSubscription());"
        "heavy = {'openai', 'fastapi', 'typer', 'redis', 'psycopg', 'dapr.ext.workflow'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (ended.stdout, ended.stderr) == ("[]\n", "")


def test_every_exported_name_can_be_imported() -> None:
    import retunable

    assert all(getattr(retunable, name) is not None for name in retunable.__all__)
