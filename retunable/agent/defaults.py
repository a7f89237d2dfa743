"""From a program's keyword arguments to checked code defaults, tools and constraints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from retunable.agent.guardrails.check import Guardrail
from retunable.agent.guardrails.judge import check_settings
from retunable.agent.models.model import ModelProvider
from retunable.agent.tools.tool import Tool, as_tool
from retunable.config.agent_config import AgentConfig, InvalidField, config_from
from retunable.config.constraints import Constraints
from retunable.errors import ConfigurationError


def default_config(values: Mapping[str, Any]) -> AgentConfig:
    """Return the code defaults; a None leaves the field's own default.

    Raises:
        ConfigurationError: a value has the wrong type or is out of its range.
    """
    given = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value is not None
    }
    try:
        return config_from(given)
    except InvalidField as error:
        raise ConfigurationError(f"DurableAgent({error.field}=…): {error}") from error


def registered_tools(candidates: Iterable[object]) -> dict[str, Tool[..., Any]]:
    """Return the tools by name, in the order given.

    Raises:
        ConfigurationError: one is no function, or two have one name.
    """
    tools: dict[str, Tool[..., Any]] = {}
    for candidate in candidates:
        tool = as_tool(candidate)
        if tool.name in tools:
            raise ConfigurationError(
                f'two tools are named {tool.name!r}; name one with @tool(name="…")'
            )
        tools[tool.name] = tool
    return tools


def program_constraints(
    constraints: Constraints | None,
    *,
    tools: Mapping[str, Tool[..., Any]],
    providers: Mapping[str, ModelProvider],
    guardrails: Mapping[str, Guardrail],
) -> Constraints:
    """Return what the program allows, with the tools, providers and checks that it really has."""
    arguments = {name: tool.argument_names for name, tool in tools.items()}
    return replace(
        constraints or Constraints(),
        registered_tools=tuple(tools),
        registered_providers=tuple(providers),
        guardrail_reasons=lambda set_: check_settings(set_, guardrails, tools=arguments),
    )
