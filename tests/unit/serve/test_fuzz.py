"""Whatever is sent, no answer is a 5xx that the agent did not mean, and all are as documented."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from retunable.agent.runs.views import RunState
from retunable.serve.http import application
from tests.unit.serve.standin import StandInAgent, a_run, a_step

AGENT = StandInAgent(
    kept={"r-1": a_run("r-1"), "r-2": a_run("r-2", RunState.RUNNING)},
    steps=(a_step(text="said"),),
    conversations={"c": 1},
)
schema = schemathesis.openapi.from_asgi(
    "/openapi.json", application(AGENT), headers={"Host": "127.0.0.1:8765"}
)


@schema.parametrize()
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_any_request_is_answered_as_documented(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(
        headers={"Host": "127.0.0.1:8765"},
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )
