"""The running agents: how each says it is, and whether two of them share one place in a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from retunable.cli.agent_client import Report
from retunable.cli.doctor.finding import Finding, error, ok, warning
from retunable.serve.address import AgentRecord


def check_agent(record: AgentRecord, report: Report | None, why_silent: str) -> Iterator[Finding]:
    """Look at one running agent; its report is None where it does not answer."""
    if report is None:
        yield error("agent", why_silent, "restart the agent")
        return
    who = f"{record.agent} (pid {record.pid})"
    if report["status"] == "READY":
        yield ok("agent", f"{who} is READY")
    else:
        say = warning if report["status"] == "STALE" else error
        why = f"{report['reason'] or 'no reason'}: {report['detail']}"
        yield say("agent", f"{who} is {report['status']} ({why})", _status_mend(report))
    if report["stream"] == "polling":
        yield warning(
            "stream",
            f"{who} gets no announcements ({report['last_replacement_cause']}) and reads the store "
            "every few seconds instead",
            "the findings on store, rights, trigger and resiliency say why",
        )
    if restarts := report["embedded_restarts"]:
        yield warning(
            "sidecar",
            f"{who} had to start its embedded sidecar again, {restarts} times so far",
            "the log of the agent says how it ended each time",
        )
    for rejection in report["rejected"]:
        yield warning(
            "rejected",
            f"{rejection['key']}: {rejection['reason']}",
            f"retune set {rejection['key']} …   (or: retune unset {rejection['key']})",
        )
    if report["provider_refusal"]:
        yield error(
            "provider",
            f"the model provider refuses: {report['provider_refusal']}",
            "retune set llm_model …, or mend the key that the agent was started with",
        )


def check_sharing(records: Sequence[AgentRecord]) -> Iterator[Finding]:
    """Look for two agents, or two environments of one, in one place of one store."""
    places = {(r.agent, r.environment): r for r in records}
    for (name, record), (other_name, other) in combinations(places.items(), 2):
        if not _same_place(record, other):
            continue
        yield error(
            "target",
            f"{' in '.join(name)} and {' in '.join(other_name)} share one store without prefixes: "
            "a field set for one is taken by both",
            f"ConfigSubscription(prefix='{other.store.document_key}/') in one of the programs",
        )


def _same_place(one: AgentRecord, other: AgentRecord) -> bool:
    if one.store.url and other.store.url and one.store.url != other.store.url:
        return False
    same_component = one.store.component == other.store.component
    return one.store.prefix == other.store.prefix and same_component


def _status_mend(report: Report) -> str:
    match report["reason"]:
        case "lost":
            return "retune set the values again, or say that the loss is meant: retune reset --yes"
        case "sidecar_unreachable":
            return "start daprd again (dapr run starts it with the agent)"
        case "task_died":
            return "restart the agent and report its log"
        case _:
            return "the findings on component and store say why"
