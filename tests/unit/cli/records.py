"""Records and reports as running agents leave and give them."""

from __future__ import annotations

from typing import Any

from retunable.config.items import Item
from retunable.serve.address import AgentRecord, StorePlace
from retunable.serve.models import ConfigReport
from tests.unit.serve.standin import StandInAgent


def a_record(
    agent: str = "config-aware-agent",
    *,
    environment: str = "default",
    prefix: str = "",
    store: str | None = None,
    component: str | None = "runtime-config",
    pid: int = 1,
    url: str = "http://127.0.0.1:1",
) -> AgentRecord:
    return AgentRecord(
        agent=agent,
        environment=environment,
        app_id="demo",
        pid=pid,
        process="1",
        url=url,
        sidecar="http://127.0.0.1:3500",
        store=StorePlace(
            component=component,
            prefix=prefix,
            document_key=agent.lower().replace("-", "_"),
            url=store,
        ),
        started_at="2026-01-01T00:00:00.000+00:00",
    )


def a_report(
    document: str = "", *, age_seconds: float | None = 1.0, revision: int = 1, **items: str
) -> dict[str, Any]:
    """Return what an agent with this document and these field keys answers, as JSON."""
    texts = {**items, **({"config_aware_agent": document} if document else {})}
    agent = StandInAgent(items={key: Item(text) for key, text in texts.items()}, revision=revision)
    report = ConfigReport.of(agent).model_dump(mode="json")
    return {**report, "age_seconds": age_seconds}
