"""Tools: declaration, schema, arguments, calls."""

import asyncio
import threading
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from retunable.agent.tools.call import ToolOutput, call_tool
from retunable.agent.tools.threads import ToolThreads
from retunable.agent.tools.tool import Tool, as_tool, tool
from retunable.errors import ConfigurationError


@tool
def add(first: int, second: int = 2) -> int:
    """Add two numbers."""
    return first + second


async def call(tool: Tool[..., Any], arguments: str) -> ToolOutput:
    return await call_tool(tool, arguments, threads=ToolThreads())


def test_name_and_docstring_describe_the_tool() -> None:
    assert (add.spec.name, add.spec.description) == ("add", "Add two numbers.")


def test_type_hints_become_the_schema() -> None:
    assert add.spec.parameters == {
        "type": "object",
        "additionalProperties": False,
        "properties": {"first": {"type": "integer"}, "second": {"type": "integer", "default": 2}},
        "required": ["first"],
    }


def test_annotated_descriptions_and_models_reach_the_schema() -> None:
    class Place(BaseModel):
        city: str

    @tool
    def weather(
        place: Place, unit: Annotated[Literal["c", "f"], Field(description="Scale")]
    ) -> str:
        return place.city + unit

    properties = weather.spec.parameters["properties"]
    assert properties["unit"] == {"enum": ["c", "f"], "type": "string", "description": "Scale"}
    assert weather.spec.parameters["$defs"]["Place"]["required"] == ["city"]
    assert weather.parse_arguments('{"place": {"city": "Rome"}, "unit": "c"}')["place"] == Place(
        city="Rome"
    )


def test_parameters_may_be_called_what_pydantic_keeps_for_itself() -> None:
    @tool
    def odd(model_config: str, schema: int, copy: bool, _private: str) -> str:
        return f"{model_config}{schema}{copy}{_private}"

    given = '{"model_config": "m", "schema": 1, "copy": true, "_private": "p"}'
    assert odd(**odd.parse_arguments(given)) == "m1Truep"


def test_a_tool_is_still_the_function() -> None:
    assert add(1, second=5) == 6


async def test_a_call_gives_its_result_as_text() -> None:
    assert await call(add, '{"first": 1}') == ToolOutput("3")


async def test_an_async_tool_runs_on_the_event_loop_of_the_caller() -> None:
    @tool
    async def where() -> int:
        return id(asyncio.get_running_loop())

    assert await call(where, "") == ToolOutput(str(id(asyncio.get_running_loop())))


async def test_a_plain_tool_runs_in_a_daemon_thread() -> None:
    @tool
    def thread() -> bool:
        return threading.current_thread().daemon

    assert await call(thread, "{}") == ToolOutput("true")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ('{"first": "x"}', "first: Input should be a valid integer"),
        ("{}", "first: Field required"),
        ('{"first": 1, "third": 3}', "third: Extra inputs are not permitted"),
        ("{first", "Invalid JSON"),
        ("[1]", "Input should be an object"),
    ],
)
async def test_wrong_arguments_go_back_to_the_model(arguments: str, reason: str) -> None:
    output = await call(add, arguments)
    assert not output.ok
    assert reason in output.text


async def test_what_a_tool_raises_goes_back_to_the_model() -> None:
    @tool
    def broken() -> None:
        raise LookupError("no such row")

    assert await call(broken, "{}") == ToolOutput(
        "broken failed: LookupError: no such row", ok=False
    )


async def test_a_plain_tool_that_exits_ends_neither_the_loop_nor_the_process() -> None:
    @tool
    def quits() -> None:
        raise SystemExit(3)

    output = await call(quits, "{}")
    assert not output.ok


async def test_results_that_are_no_text_become_json() -> None:
    @tool
    def rows() -> list[dict[str, object]]:
        return [{"id": 1, "tags": {"a"}}]

    assert await call(rows, "{}") == ToolOutput('[{"id":1,"tags":["a"]}]')


async def test_plain_tools_run_side_by_side() -> None:
    both = threading.Barrier(2, timeout=5)

    @tool
    def meet() -> int:
        return both.wait()

    threads = ToolThreads()
    outputs = await asyncio.gather(*(call_tool(meet, "{}", threads=threads) for _ in range(2)))
    assert all(output.ok for output in outputs)


def test_a_plain_function_is_made_a_tool() -> None:
    def shout(text: str) -> str:
        return text.upper()

    assert as_tool(shout).name == "shout"


@pytest.mark.parametrize("candidate", [1, "search", None])
def test_what_is_no_function_is_refused(candidate: object) -> None:
    with pytest.raises(ConfigurationError, match="takes functions"):
        as_tool(candidate)


def test_a_name_that_models_refuse_is_refused_with_the_fix() -> None:
    with pytest.raises(ConfigurationError, match=r"@tool\(name="):
        tool(lambda: 1)


def test_arguments_without_a_name_are_refused() -> None:
    def many(*values: int) -> int:
        return sum(values)

    with pytest.raises(ConfigurationError, match="make 'values' an ordinary parameter"):
        tool(many)
