"""``retune stop`` and ``retune forget``: ends a run, erases what was said in a conversation."""

from __future__ import annotations

import sys

from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.run_client import RunClient
from retunable.cli.target import Target, running_target
from retunable.cli.where import Where


def stop(where: Where, run_id: str, *, output: Output) -> ExitCode:
    """End a run without an answer; one that is over stays as it is."""
    run = RunClient(running_target(where).replicas[0].url).stop(run_id)
    was_over = "" if run["state"] == "stopped" else ", it was over before"
    output.line(f"run {run_id}: {run['state']}{was_over}")
    output.result(dict(run))
    return ExitCode.OK


def forget(where: Where, conversation_id: str, *, confirmed: bool, output: Output) -> ExitCode:
    """Erase what was said in a conversation; which configurations answered stays."""
    target = running_target(where)
    if not confirmed:
        _ask_person(target, conversation_id, output)
    forgotten = RunClient(target.replicas[0].url).forget(conversation_id)
    plural = "" if forgotten["runs"] == 1 else "s"
    output.line(f"conversation {conversation_id}: {forgotten['runs']} run{plural} forgotten")
    output.result(dict(forgotten))
    return ExitCode.OK


def _ask_person(target: Target, conversation_id: str, output: Output) -> None:
    if output.as_json or not sys.stdin.isatty():
        raise Stop("forget erases for good; say --yes", ExitCode.USAGE)
    output.line(
        f"This erases for good what was said in conversation {conversation_id} of {target.agent} "
        f"({target.environment}), and stops its run if one goes on."
    )
    print("Forget it? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Stop("nothing was erased")
