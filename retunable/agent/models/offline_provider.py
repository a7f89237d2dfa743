"""A model without key or network, for a first run and for tests.

Deterministic: it says which persona it was given, read from the system prompt as sent, and
calls a tool that the message names. It understands nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from retunable.agent.models.model import Message, ModelReply, ModelRequest, ToolCall, ToolSpec
from retunable.agent.models.persona import GOAL_OPENING, ROLE_OPENING


class OfflineProvider:
    """Answers by showing the persona and the question; named like any other provider."""

    async def open(self) -> None:
        """Nothing to get ready."""

    def warm_up(self) -> None:
        """Nothing to import."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Call the tools that the message names, else answer."""
        question = _question(request)
        calls = () if _has_results(request) else _calls(request, question)
        text = "" if calls else _answer(request, question)
        return ModelReply(
            text=text,
            calls=calls,
            input_tokens=sum(len(m.text.split()) for m in request.messages),
            output_tokens=len(text.split()),
            model=request.model,
        )

    async def close(self) -> None:
        """Nothing to undo."""


def _question(request: ModelRequest) -> str:
    asked = [message.text for message in request.messages if message.role == "user"]
    return asked[-1] if asked else ""


def _has_results(request: ModelRequest) -> bool:
    return bool(request.messages) and request.messages[-1].role == "tool"


def _calls(request: ModelRequest, question: str) -> tuple[ToolCall, ...]:
    if request.tool_choice == "none":
        return ()
    wanted = [spec for spec in request.tools if _mentions(question, spec.name)]
    if not wanted and request.tool_choice not in (None, "auto"):
        named = [spec for spec in request.tools if spec.name == request.tool_choice]
        wanted = named or list(request.tools[:1])
    step = len(request.messages)
    return tuple(
        ToolCall(f"offline-{step}-{number}", spec.name, json.dumps(_arguments(spec, question)))
        for number, spec in enumerate(wanted)
    )


def _mentions(question: str, name: str) -> bool:
    spoken = re.escape(name).replace("_", "[ _]")
    return re.search(rf"(?<!\w){spoken}(?!\w)", question, re.IGNORECASE) is not None


def _answer(request: ModelRequest, question: str) -> str:
    parts = [_persona(request.system_prompt), f"You asked: {question}"]
    names = {call.id: call.name for message in request.messages for call in message.calls}
    results = [
        f"{names.get(message.call_id, 'A tool')} answered: {message.text}"
        for message in _last_results(request.messages)
    ]
    return " ".join([*parts, *results])


def _last_results(messages: tuple[Message, ...]) -> list[Message]:
    asked = max((i for i, message in enumerate(messages) if message.role == "user"), default=0)
    return [message for message in messages[asked:] if message.role == "tool"]


def _persona(system_prompt: str) -> str:
    if not system_prompt:
        return "I was given no persona."
    paragraphs = system_prompt.split("\n\n")
    role = _after(ROLE_OPENING, paragraphs)
    goal = _after(GOAL_OPENING, paragraphs)
    if role is None and goal is None:
        return f"My system prompt is: {system_prompt}"
    sentences = [role and f"I am {role}", goal and f"My goal is: {goal}"]
    return " ".join(sentence for sentence in sentences if sentence)


def _after(opening: str, paragraphs: list[str]) -> str | None:
    for paragraph in paragraphs:
        if paragraph.startswith(opening):
            return paragraph.removeprefix(opening)
    return None


def _arguments(spec: ToolSpec, question: str) -> dict[str, Any]:
    made = _value(spec.parameters, spec.parameters, question)
    return made if isinstance(made, dict) else {}


def _value(schema: Mapping[str, Any], root: Mapping[str, Any], question: str) -> Any:
    """Make some value that fits a JSON schema: the shapes that pydantic writes, not all there are."""
    match schema:
        case {"$ref": str(reference)}:
            return _value(root["$defs"][reference.rsplit("/", 1)[-1]], root, question)
        case {"const": constant}:
            return constant
        case {"enum": [first, *_]}:
            return first
        case {"anyOf": [first, *_]}:
            return _value(first, root, question)
        case {"type": "integer" | "number"}:
            return _number(schema, question)
        case {"type": "boolean"}:
            return True
        case {"type": "array"}:
            items = schema.get("items", {})
            return [_value(items, root, question) for _ in range(schema.get("minItems", 1))]
        case {"type": "object"}:
            properties = schema.get("properties", {})
            return {
                name: _value(properties[name], root, question)
                for name in schema.get("required", ())
            }
        case {"type": "null"}:
            return None
        case _:
            return _text(question)


def _number(schema: Mapping[str, Any], question: str) -> int:
    found = re.search(r"-?\d+", question)
    number = int(found.group()) if found else 1
    return int(min(max(number, schema.get("minimum", number)), schema.get("maximum", number)))


def _text(question: str) -> str:
    quoted = re.search(r"\"([^\"]*)\"", question)
    return quoted.group(1) if quoted else question
