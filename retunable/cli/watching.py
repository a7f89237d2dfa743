"""``retune watch``: the changes that the running agent takes, as they happen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from retunable.cli.agent_client import AgentAway, AgentClient, Report
from retunable.cli.exits import ExitCode
from retunable.cli.output import Output, shown
from retunable.cli.target import Target, find_target, running_target
from retunable.cli.where import Where
from retunable.config.fields import FIELD_BY_NAME
from retunable.serve.address import running_agents

POLL_SECONDS: Final = 0.2
STATUS_PARTS: Final = ("status", "reason", "stream", "provider_refusal")

Event = dict[str, Any]


def watch(where: Where, *, output: Output) -> ExitCode:
    """Follow one agent until Ctrl-C; an agent that goes away is waited for."""
    try:
        _follow(where, running_target(where), output)
    except KeyboardInterrupt:
        return ExitCode.OK
    return ExitCode.OK


def events(old: Report | None, new: Report) -> Iterator[Event]:
    """Tell what differs between two reports of one agent, None for the first."""
    if old is None or old["config"] is None:
        yield {"event": "running", "agent": new["agent"], **_status(new)}
        return
    for name, value in (new["config"] or {}).items():
        if old["config"][name] != value:
            yield {
                "event": "changed",
                "field": name,
                "key": FIELD_BY_NAME[name].key,
                "old": old["config"][name],
                "new": value,
                "revision": new["revision"],
            }
    for rejection in new["rejected"]:
        if rejection not in old["rejected"]:
            yield {"event": "rejected", **rejection}
    for rejection in old["rejected"]:
        if rejection not in new["rejected"]:
            yield {"event": "mended", **rejection}
    if _status(old) != _status(new):
        yield {"event": "status", **_status(new), "detail": new["detail"]}


def event_line(event: Event) -> str:
    """Return an event as a person reads it."""
    match event["event"]:
        case "changed":
            old, new = shown(event["old"]), shown(event["new"])
            return f"{event['key']}: {old} -> {new} (revision {event['revision']})"
        case "rejected":
            return f"rejected: {event['key']}: {event['reason']}"
        case "mended":
            return f"no longer rejected: {event['key']}"
        case "away":
            return f"{event['agent']} does not answer"
        case _:
            reason = f" ({event['reason']})" if event.get("reason") else ""
            return f"{event.get('agent', 'status')}: {event['status']}{reason}, stream {event['stream']}"


def _follow(where: Where, target: Target, output: Output) -> None:
    last: Report | None = None
    answering = True
    while True:
        try:
            report = AgentClient(target.replicas[0].url).report()
        except AgentAway:
            if answering:
                _say({"event": "away", "agent": target.agent}, output)
            answering, last = False, None
            found = find_target(where, running_agents())
            target = found if found.replicas else target
        else:
            for event in events(last, report):
                _say(event, output)
            answering, last = True, report
        time.sleep(POLL_SECONDS)


def _say(event: Event, output: Output) -> None:
    output.line(f"{time.strftime('%H:%M:%S')} {event_line(event)}")
    output.result(event)


def _status(report: Report) -> Event:
    return {part: report[part] for part in STATUS_PARTS}
