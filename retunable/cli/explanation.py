"""``retune explain``: what gave a run's answer, for a person or as it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from retunable.cli.exits import ExitCode
from retunable.cli.output import Output, shown
from retunable.cli.run_client import RunClient
from retunable.cli.run_list import seconds_of
from retunable.cli.step_lines import call_text, head_line, result_text
from retunable.cli.target import running_target
from retunable.cli.where import Where

Told = Mapping[str, Any]


def explain(where: Where, run_id: str, *, output: Output) -> ExitCode:
    """Show everything that is kept of a run."""
    told = RunClient(running_target(where).replicas[0].url).explain(run_id)
    for line in explanation_lines(told):
        output.line(line)
    output.result(dict(told))
    return ExitCode.OK


def explanation_lines(told: Told) -> Iterator[str]:
    """Yield an explanation as a person reads it; configurations where they change."""
    yield from _run_lines(told)
    known: set[str] = set()
    for step in told["steps"]:
        yield from _step_lines(step, known)
    yield from _end_lines(told["status"])


def _run_lines(told: Told) -> Iterator[str]:
    status, attributes = told["status"], told["attributes"] or {}
    yield f"run {status['run_id']} of {told['agent']} ({told['environment']}), {_state(status)}"
    yield f"begun {status['begun_at']} on {told['replica']}, pin {told['pin']}"
    who = [
        f"user {told['user_id']}" if told["user_id"] else "",
        f"conversation {status['conversation_id']}" if status["conversation_id"] else "",
        *(f"{name}={value}" for name, value in attributes.items()),
    ]
    if any(who):
        yield ", ".join(filter(None, who))
    yield from _text("asked", told["message"])


def _state(status: Told) -> str:
    seconds = seconds_of(status)
    if seconds is None:
        return str(status["state"])
    plural = "" if status["steps"] == 1 else "s"
    counted = f"{status['steps']} step{plural}, {status['tokens']} tokens"
    return f"{status['state']} after {seconds:.1f} s, {counted}"


def _step_lines(step: Told, known: set[str]) -> Iterator[str]:
    record = step["record"]
    yield ""
    yield head_line(record)
    yield f"  {record['started_at']} to {record['ended_at']} on {record['replica']}"
    yield f"  {_configuration(record)}"
    if _is_new(record["effective_checksum"], known):
        for name, value in (step["config"] or {}).items():
            if value is not None:
                yield f"    {name} = {shown(value)}"
    yield f"  system prompt {record['system_prompt_checksum']}"
    if _is_new(record["system_prompt_checksum"], known):
        yield from _indented(step["system_prompt"] or "", by="    ")
    if _is_new(record["tools_checksum"], known):
        names = [_tool_name(tool) for tool in step["tools"] or ()]
        yield f"  tools {record['tools_checksum']}: {', '.join(names) or 'none'}"
    if step["text"]:
        yield from _text("  said", step["text"])
    if step["notice"]:
        yield from _text("  not accepted", step["notice"])
    yield from map(_check_line, step["checks"])
    for call in step["calls"]:
        gave = "" if call["result"] is None else f" -> {result_text(call)}"
        yield f"  calls {call_text(call)}{gave}"


def _check_line(check: Told) -> str:
    judged = "the answer" if check["call"] is None else f"call {check['call'] + 1}"
    if check["broken"]:
        outcome = "broken, so not passed"
    else:
        scored = f"scored {check['score']:g}, needs {check['threshold']:g}"
        outcome = f"{'passed' if check['passed'] else 'not passed'} ({scored})"
    reason = f": {check['reason']}" if check["reason"] else ""
    return f"  check {check['name']} on {judged}: {outcome}{reason}"


def _configuration(record: Told) -> str:
    version = "no version" if record["version"] is None else f"version {record['version']}"
    parts = [
        f"config {record['effective_checksum']}",
        f"{version} ({record['variant']})",
        _rollout(record),
        f"revision {record['revision']}",
        f"overridden: {', '.join(record['override_keys'])}" if record["override_keys"] else "",
        f"flags: {', '.join(record['flags'])}" if record["flags"] else "",
        f"retunable {record['package']}",
    ]
    return ", ".join(filter(None, parts))


def _rollout(record: Told) -> str:
    # Left out by an agent of a release that did not record it.
    rollout = record.get("rollout")
    return f"rollout {rollout} at stage {record['rollout_stage'] + 1}" if rollout else ""


def _end_lines(status: Told) -> Iterator[str]:
    yield ""
    if status["state"] == "finished":
        yield from _text(f"answer ({status['stop_reason']})", status["text"])
    else:
        yield f"{status['state']}: {status['reason']}" if status["reason"] else status["state"]


def _text(name: str, text: str | None) -> Iterator[str]:
    if text is None:
        yield f"{name}: (forgotten)"
    elif "\n" in text:
        yield f"{name}:"
        yield from _indented(text, by=" " * (len(name) - len(name.lstrip()) + 2))
    else:
        yield f"{name}: {text}"


def _indented(text: str, *, by: str) -> Iterator[str]:
    return (f"{by}{line}".rstrip() for line in text.splitlines())


def _tool_name(tool: Told) -> str:
    # The schemas are kept as the provider got them.
    return str(tool.get("name") or tool.get("function", {}).get("name"))


def _is_new(checksum: str, known: set[str]) -> bool:
    if checksum in known:
        return False
    known.add(checksum)
    return True
