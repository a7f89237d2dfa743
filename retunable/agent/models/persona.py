"""The system prompt that follows from an agent config.

Plain concatenation: no template engine ever sees the text, so ``{{ }}``, ``{name}`` and
``{% %}`` reach the model as written.
"""

from __future__ import annotations

from collections.abc import Iterable

from retunable.config.agent_config import AgentConfig

ROLE_OPENING = "You are "
GOAL_OPENING = "Your goal: "


def compose_system_prompt(config: AgentConfig) -> str:
    """Return the system prompt of a config; empty where the config says nothing."""
    if config.system_prompt is not None:
        return config.system_prompt
    parts = [
        _sentence(ROLE_OPENING, config.role),
        _sentence(GOAL_OPENING, config.goal),
        _list("Instructions:", config.instructions),
        _list("Style guidelines:", config.style_guidelines),
    ]
    return "\n\n".join(part for part in parts if part)


def _sentence(opening: str, text: str | None) -> str:
    if not text:
        return ""
    return opening + text + ("" if text.endswith((".", "!", "?")) else ".")


def _list(title: str, items: Iterable[str]) -> str:
    lines = [f"- {item}" for item in items]
    return "\n".join([title, *lines]) if lines else ""
