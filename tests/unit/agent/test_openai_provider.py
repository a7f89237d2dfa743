"""Reading what an OpenAI-compatible server answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from retunable.agent.models.model import Finish, ModelReply, ToolCall
from retunable.agent.models.openai_provider import parse_completion
from retunable.errors import ProviderFailed


def body(message: dict[str, Any], finish: str = "stop", **more: Any) -> bytes:
    choice = {"message": message, "finish_reason": finish}
    return json.dumps({"model": "small-1", "choices": [choice], **more}).encode()


def test_text_tokens_and_model_are_read() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    assert parse_completion(body({"content": "hi"}, usage=usage)) == ModelReply(
        text="hi", input_tokens=3, output_tokens=2, model="small-1"
    )


def test_tool_calls_are_read_with_their_arguments_as_text() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    reply = parse_completion(body({"content": None, "tool_calls": [call]}, "tool_calls"))
    assert (reply.text, reply.calls) == ("", (ToolCall("c", "f", '{"a":1}'),))


def test_a_refusal_is_the_text() -> None:
    assert parse_completion(body({"content": None, "refusal": "I will not"})).text == "I will not"


@pytest.mark.parametrize(
    ("reason", "finish"), [("length", "length"), ("content_filter", "filtered"), ("other", "stop")]
)
def test_the_end_of_a_cut_answer_is_known(reason: str, finish: Finish) -> None:
    assert parse_completion(body({"content": "x"}, reason)).finish == finish


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"tool_calls": [{"id": 1}]}}]}',
    ],
)
def test_rubbish_is_a_failed_call(answer: bytes) -> None:
    with pytest.raises(ProviderFailed):
        parse_completion(answer)
