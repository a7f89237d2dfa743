"""Steps of a run as lines for a person: pure, from the JSON that the agent sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

LONGEST: Final = 120

Step = Mapping[str, Any]


class StepLines:
    """Says each step once and each tool result once, though steps come again as they grow."""

    def __init__(self) -> None:
        self._steps: set[int] = set()
        self._results: set[str] = set()

    def of(self, step: Step) -> Iterator[str]:
        """Yield what is new in a step."""
        record = step["record"]
        if record["step"] not in self._steps:
            self._steps.add(record["step"])
            yield head_line(record)
            if step["notice"]:
                yield f"  not accepted: {cut(step['notice'])}"
            for call in step["calls"]:
                yield f"  calls {call_text(call)}"
        for call in step["calls"]:
            if call["result"] is not None and call["call_id"] not in self._results:
                self._results.add(call["call_id"])
                yield f"  {call['name']} -> {result_text(call)}"


def head_line(record: Mapping[str, Any]) -> str:
    """Return what a step is: its number, its model, its price."""
    model = "/".join(filter(None, [record["provider"], record["model"]]))
    tokens = f"{record['input_tokens']} + {record['output_tokens']} tokens"
    cost = record.get("cost")
    paid = "" if cost is None else f", {cost:.6g} {record['currency']}"
    told = f"step {record['step']}: {model}, {tokens}{paid}"
    return f"{told}; unpinned: {record['unpinned']}" if record["unpinned"] else told


def call_text(call: Mapping[str, Any]) -> str:
    """Return a tool call with its arguments, and why it was refused if it was."""
    arguments = "forgotten" if call["arguments"] is None else cut(call["arguments"])
    refused = f", refused: {cut(call['refusal'])}" if call["refusal"] else ""
    return f"{call['name']}({arguments}){refused}"


def result_text(call: Mapping[str, Any]) -> str:
    """Return what a tool call gave."""
    failed = "" if call["ok"] else "failed: "
    return failed + cut(call["result"])


def cut(text: str) -> str:
    """Return a text on one line and not for ever."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
