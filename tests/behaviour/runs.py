"""Runs begun and awaited over HTTP, whatever is killed meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.behaviour.waiting import eventually

if TYPE_CHECKING:
    from tests.behaviour.agent_process import AgentProcess, Json
    from tests.behaviour.lab import Lab

ENDED_SECONDS = 60.0
LOCKED_SECONDS = 15.0


def begin(agent: AgentProcess, run_id: str, **members: object) -> None:
    """Have a run accepted whose message is its id; its answer is not awaited."""
    response = agent.run(run_id, run_id=run_id, wait=False, **members)
    assert response.status_code == 202, f"{response.status_code} {response.text}\n{agent.tail()}"


def state(agent: AgentProcess, run_id: str) -> Json:
    """Return how a run is now, or the problem with telling it."""
    answer: Json = agent.http.get(_path(run_id), timeout=10).json()
    return answer


def ended(agent: AgentProcess, run_id: str, *, within_seconds: float = ENDED_SECONDS) -> Json:
    """Wait until a run is over and return how."""
    return eventually(
        lambda: state(agent, run_id),
        what=f"the end of run {run_id}",
        within_seconds=within_seconds,
        until=lambda seen: seen.get("state", "running") != "running",
    )


def survived(lab: Lab, agent: AgentProcess, run_id: str) -> Json:
    """Wait until a run is over whose agent was killed, and return how.

    A sidecar that takes no worker any more is killed and started, as its supervisor has to: Dapr
    1.18.2 can lock itself up when its last worker goes (dapr/dapr pull request 10408).
    """
    try:
        return ended(agent, run_id, within_seconds=LOCKED_SECONDS)
    except AssertionError:
        if agent.run("taken?", wait=False).status_code == 503:
            lab.locked_sidecars += 1
            with lab.backend.without_sidecar():
                pass
    return ended(agent, run_id)


def answered(agent: AgentProcess, run_id: str, *, within_seconds: float = ENDED_SECONDS) -> Any:
    """Wait until a run is over and return its text."""
    return ended(agent, run_id, within_seconds=within_seconds)["text"]


def explained(agent: AgentProcess, run_id: str) -> Json:
    """Return everything that is kept of a run."""
    response = agent.http.get(f"{_path(run_id)}/explain", timeout=10)
    explanation: Json = response.raise_for_status().json()
    return explanation


def results(agent: AgentProcess, run_id: str) -> list[str]:
    """Return the results of tool calls that are recorded now; none where that is not told."""
    told = agent.http.get(f"{_path(run_id)}/explain", timeout=10).json()
    calls = [call for step in told.get("steps", ()) for call in step["calls"]]
    return [call["result"] for call in calls if call["result"] is not None]


def _path(run_id: str) -> str:
    return f"/agent/runs/{quote(run_id, safe='')}"
