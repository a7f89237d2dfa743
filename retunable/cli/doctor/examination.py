"""One examination: fetches the facts of every subject, checks them, and reports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from retunable.cli.confirmation import replicas_of
from retunable.cli.doctor.finding import Finding, Severity, error
from retunable.cli.doctor.postgres_facts import postgres_facts
from retunable.cli.doctor.postgres_store import check_postgres
from retunable.cli.doctor.redis_facts import redis_facts
from retunable.cli.doctor.redis_store import check_redis
from retunable.cli.doctor.resource_files import check_broken_files, check_files
from retunable.cli.doctor.running import check_agent, check_sharing
from retunable.cli.doctor.sidecar import check_sidecar
from retunable.cli.doctor.sidecar_facts import sidecar_facts
from retunable.cli.doctor.sqlite_facts import sqlite_facts
from retunable.cli.doctor.sqlite_store import check_sqlite
from retunable.cli.exits import ExitCode
from retunable.cli.output import Output
from retunable.cli.target import Target, find_store, find_target
from retunable.cli.where import Where
from retunable.config.fields import SECRET_KEY
from retunable.errors import RetunableError
from retunable.release.components import read_resources
from retunable.release.opening import open_writer
from retunable.release.postgres_writer import PostgresWriter
from retunable.release.redis_writer import RedisWriter
from retunable.release.resources import Resources
from retunable.release.sqlite_writer import SQLiteWriter
from retunable.release.store_url import DEFAULT_COMPONENT, StoreURL
from retunable.serve.address import AgentRecord, running_agents

MARKS: Final = {Severity.OK: "ok     ", Severity.WARNING: "warning", Severity.ERROR: "error  "}


def examine(where: Where, *, sidecar: str | None, output: Output) -> ExitCode:
    """Examine everything that can be reached from here; errors make the exit code 5."""
    records = running_agents()
    target = find_target(where, records)
    resources = read_resources(where.resources)
    findings = list(_findings(where, target, records, resources, sidecar))
    for finding in findings:
        output.line(f"{MARKS[finding.severity]}  {finding.subject}: {finding.seen}")
        if finding.mend:
            output.line(f"         mend: {finding.mend}")
    counts = {s.value: sum(f.severity is s for f in findings) for s in Severity}
    code = ExitCode.FINDINGS if counts[Severity.ERROR] else ExitCode.OK
    output.line(f"errors: {counts['error']}, warnings: {counts['warning']}")
    output.result(
        {
            "agent": target.agent,
            "findings": [asdict(finding) for finding in findings],
            "counts": counts,
            "exit_code": int(code),
        }
    )
    return code


def _findings(
    where: Where,
    target: Target,
    records: tuple[AgentRecord, ...],
    resources: Resources,
    sidecar: str | None,
) -> Iterator[Finding]:
    for replica in replicas_of(target.replicas):
        yield from check_agent(replica.record, replica.before, replica.why_silent)
    yield from check_sharing(records)
    component = _component(where, target)
    facts = sidecar_facts(sidecar or _sidecar_of(target))
    yield from check_sidecar(facts, component)
    # An embedded sidecar stands in for the components that the files declare for daprd.
    yield from (
        check_broken_files(resources) if facts.embedded else check_files(resources, component)
    )
    try:
        yield from _store(find_store(where, target), target, resources, component)
    except RetunableError as away:
        yield error("store", str(away), "retune doctor --store URL looks at another store")


def _store(
    url: StoreURL, target: Target, resources: Resources, component: str
) -> Iterator[Finding]:
    writer = open_writer(url)
    secret_key = target.prefix + SECRET_KEY
    document = target.document if target.document_key else None
    try:
        if isinstance(writer, PostgresWriter):
            facts = postgres_facts(writer, url=url, keys=target.keys, secret_key=secret_key)
            yield from check_postgres(facts, _channel(resources, component))
        elif isinstance(writer, RedisWriter):
            yield from check_redis(redis_facts(writer, document=document, secret_key=secret_key))
        elif isinstance(writer, SQLiteWriter):
            yield from check_sqlite(sqlite_facts(writer, path=url.path, secret_key=secret_key))
    finally:
        writer.close()


def _component(where: Where, target: Target) -> str:
    recorded = target.replicas[0].store.component if target.replicas else None
    return where.component or recorded or DEFAULT_COMPONENT


def _sidecar_of(target: Target) -> str | None:
    if target.replicas and target.replicas[0].sidecar:
        return target.replicas[0].sidecar
    port = os.environ.get("DAPR_HTTP_PORT")
    return f"http://127.0.0.1:{port}" if port else None


def _channel(resources: Resources, component: str) -> str | None:
    stores = [r for r in resources.components("configuration.postgres") if r.name == component]
    return stores[0].metadata("notifyChannel") if stores else None
