"""``retune get``: what the store holds beside what the running agent makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from retunable.cli.agent_client import AgentAway, AgentClient, Report
from retunable.cli.changes import field_named
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output, shown
from retunable.cli.target import Target, find_store, find_target
from retunable.cli.where import Where
from retunable.config.fields import FIELDS, Field
from retunable.config.items import Items, Unreadable
from retunable.errors import RetunableError
from retunable.release.opening import open_writer
from retunable.serve.address import running_agents


def get(where: Where, key: str | None, *, output: Output) -> ExitCode:
    """Show all fields, or one; end with an error where neither store nor agent answers."""
    target = find_target(where, running_agents())
    fields = FIELDS if key is None else (field_named(key, prefix=target.prefix),)
    items, store, store_error = _stored(where, target)
    report, agent_error = _report(target)
    if items is None and report is None:
        raise Stop(f"{store_error}; {agent_error}")
    for line in _lines(target, fields, items, report):
        output.line(line)
    for error in (store_error, agent_error):
        if error:
            output.line(f"({error})")
    output.result(
        {
            "agent": target.agent,
            "environment": target.environment,
            "store": store,
            "store_error": store_error,
            "agent_error": agent_error,
            "stored": _stored_json(items),
            "effective": _effective_json(fields, report),
            "report": report if key is None else None,
        }
    )
    return ExitCode.OK


def _stored(where: Where, target: Target) -> tuple[Items | None, str | None, str | None]:
    try:
        url = find_store(where, target)
        writer = open_writer(url)
    except RetunableError as error:
        return None, None, str(error)
    try:
        return writer.read(target.keys), writer.describe(), None
    except RetunableError as error:
        return None, writer.describe(), str(error)
    finally:
        writer.close()


def _report(target: Target) -> tuple[Report | None, str | None]:
    if not target.replicas:
        return None, "no running agent was found in .retunable/agents of this folder"
    try:
        return AgentClient(target.replicas[0].url).report(), None
    except AgentAway as away:
        return None, str(away)


def _lines(
    target: Target, fields: tuple[Field, ...], items: Items | None, report: Report | None
) -> Iterator[str]:
    for field in fields:
        key = target.field_keys[field.name]
        if report is not None and report["config"] is not None:
            source = report["sources"][field.name]
            yield f"{key} = {shown(report['config'][field.name])}   ({_origin(source)})"
        elif items is not None and key in items:
            yield f"{key} = {_item_text(items, key)}   (in the store)"
        elif len(fields) == 1:
            yield f"{key} is not in the store"
    if len(fields) > 1 or report is None:
        yield from _document_lines(target, items)
    for rejection in report["rejected"] if report else ():
        if rejection["field"] is None or rejection["field"] in {f.name for f in fields}:
            yield f"rejected: {rejection['key']}: {rejection['reason']}"
    if report is not None and len(fields) > 1:
        for flag in report.get("expired_flags", ()):
            yield f"flag {flag} has expired and is off"
        detail = f" ({report['reason']}: {report['detail']})" if report["reason"] else ""
        yield f"{report['agent']}: {report['status']}{detail}, stream {report['stream']}"


def _document_lines(target: Target, items: Items | None) -> Iterator[str]:
    if items is not None and target.document_key is not None and target.document in items:
        yield f"{target.document} = {_item_text(items, target.document)}   (document in the store)"


def _origin(source: Mapping[str, Any]) -> str:
    kept = ", its last good value" if source["kept"] else ""
    match source["layer"]:
        case "default":
            return "from the program"
        case "document":
            return f"from the document {source['key']}{kept}"
        case _ if source["expires_at"] is not None:
            end = datetime.fromtimestamp(source["expires_at"], UTC)
            return f"from an override in {source['key']} until {end:%Y-%m-%d %H:%M:%S} UTC{kept}"
        case _:
            return f"from the store{kept}"


def _item_text(items: Items, key: str) -> str:
    item = items[key]
    return f"unreadable: {item.reason}" if isinstance(item, Unreadable) else shown(item.value)


def _stored_json(items: Items | None) -> dict[str, Any] | None:
    if items is None:
        return None
    return {
        key: {"unreadable": item.reason}
        if isinstance(item, Unreadable)
        else {"value": item.value, "version": item.version}
        for key, item in items.items()
    }


def _effective_json(fields: tuple[Field, ...], report: Report | None) -> dict[str, Any] | None:
    if report is None or report["config"] is None:
        return None
    return {
        field.name: {
            "value": report["config"][field.name],
            "source": report["sources"][field.name],
        }
        for field in fields
    }
