"""What a rollout costs: `python -m bench.verdicts`, by hand on an idle machine.

Resolving a caller with a canary and 20 flags, following events, and a verdict over ten million
outcomes. No server takes part.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from typing import Any, Final

from retunable.config.agent_config import AgentConfig
from retunable.config.build import build
from retunable.config.checksum import checksum
from retunable.config.constraints import Constraints
from retunable.config.declaration import declare
from retunable.config.items import Item
from retunable.config.resolve import resolve
from retunable.config.snapshot import Snapshot
from retunable.config.stages import Place, cohorts_of
from retunable.config.targeting import ListKey
from retunable.rollout.enrolment import Enrolment
from retunable.rollout.events import Exposure, Outcome
from retunable.rollout.metrics import Metric
from retunable.rollout.policy import Pace, Sequential
from retunable.rollout.tally import Tally
from retunable.rollout.verdict import Look, judge

CALLERS: Final = 20_000
EVENTS: Final = 200_000
OUTCOMES: Final = 10_000_000
KEY: Final = ListKey.of(b"bench")
ATTRIBUTES: Final = {"plan": "pro", "country": "FR"}
CHANGES: Final[tuple[dict[str, Any], ...]] = (
    {"set": {"temperature": 0.3}},
    {"tools": {"search": False}},
    {"guardrails": {"length": {"most": 100}}},
    {"set": {"style_guidelines": ["Be brief."]}},
)
AUDIENCES: Final[tuple[dict[str, Any], ...]] = (
    {"percent": 50, "salt": "own"},
    {"when": [{"attribute": "plan", "in": ["pro", "team"]}], "percent": 10, "salt": "own"},
    {"when": [{"attribute": "country", "not_in": ["DE", "AT"]}]},
)


def main() -> None:
    """Measure and print."""
    known = snapshot(AUDIENCES)
    heavy = snapshot(
        ({"percent": 50, "salt": "own", "when": [{"attribute": "plan", "in": ["pro"]}]},)
    )
    for name, measured, callers in (
        ("a user never seen, 20 flags", known, range(CALLERS)),
        ("a user seen before", known, [CALLERS - 1 - n % 1000 for n in range(CALLERS)]),
        ("a user never seen, every flag with list, rule and percent", heavy, range(CALLERS)),
    ):
        print(f"resolve, {name}: {_percentiles(measured, callers)}")
    print(f"events followed: {_followed():,.0f} a second")
    print(f"verdict over {OUTCOMES:,} outcomes: {_verdict():.1f} ms")


def snapshot(audiences: tuple[dict[str, Any], ...]) -> Snapshot:
    """Return a release with a canary and 20 flags, each with a list of 50 users as well."""
    agent = declare(
        "bench", defaults=AgentConfig(model="m", provider="offline"), constraints=Constraints()
    )
    text = ["Answer with care, and say what you do not know."] * 20
    flags = [
        {"name": f"f{n}", "expires_at": "2100-01-01T00:00:00Z"}
        | {
            "users": {
                "key_id": KEY.id,
                "hashes": [KEY.listed_as(f"f{n}", f"v{i}") for i in range(50)],
            }
        }
        | audiences[n % len(audiences)]
        | CHANGES[n % len(CHANGES)]
        for n in range(20)
    ]
    for number, flag in enumerate(flags):
        if "salt" in flag:
            flag["salt"] = f"salt-{number}"
    envelope = {
        "retunable": 1,
        "agent": "bench",
        "environment": "default",
        "generation": 1,
        "stable": _variant(1, instructions=text),
        "canary": _variant(2, instructions=text, role="Canary"),
        "rollout": {
            "id": "r",
            "salt": "s",
            "stages": [1, 5, 25, 50],
            "stage": 2,
            "control_percent": None,
        },
        "flags": flags,
    }
    built = build(agent, {agent.document: Item(json.dumps(envelope))})
    if built.snapshot.rejected:
        raise SystemExit(str(built.snapshot.rejected))
    return built.snapshot


def _variant(number: int, **values: Any) -> dict[str, Any]:
    config = AgentConfig(model="m", provider="offline", tools=("search", "calculate")).to_json()
    return {"version": number, "checksum": checksum(config | values), "config": config | values}


def _percentiles(known: Snapshot, callers: Any) -> str:
    taken: list[float] = []
    gc.collect()
    for number in callers:
        began = time.thread_time_ns()  # without what else the machine does
        resolve(known, user_id=f"u{number}", attributes=ATTRIBUTES, now=1.8e9, list_key=KEY)
        taken.append((time.thread_time_ns() - began) / 1000)
    taken.sort()
    p1, p50, p99 = (taken[len(taken) * part // 100] for part in (1, 50, 99))
    return f"CPU time p1 {p1:.1f}, p50 {p50:.1f}, p99 {p99:.1f} µs"


def _followed() -> float:
    cohorts = cohorts_of([1000, 5000])
    enrolment = Enrolment(cohorts, window_seconds=600, run_timeout_seconds=60)
    events: list[Exposure | Outcome] = []
    for number in range(EVENTS // 2):
        place = Place(0, "canary" if number % 2 else "control")
        run = Exposure(run=f"r{number}", user=f"u{number}", place=place, started_at=number / 100)
        events += [run, Outcome(exposure=run, failed=number % 20 == 0)]
    seconds = _seconds(lambda: [enrolment.see(event) for event in events])
    return EVENTS / (seconds + _seconds(lambda: enrolment.mature(1e9)))


def _verdict() -> float:
    """Count ten million outcomes, then ask for the verdict."""
    cohorts = cohorts_of([1000, 2000, 3000, 4000, 5000])
    tally = Tally(cohorts)
    bad, fine = frozenset({Metric.ERROR}), frozenset[Metric]()
    for number in range(OUTCOMES):
        place = Place(number % 5, "canary" if number // 5 % 2 else "control")
        tally.enrol(place)
        tally.decide(place, bad if number % 33 == 0 else fine, missing=False)
    policy = Sequential(pace=Pace(stage_seconds=0))
    look = Look(now=1, started_at=0, stage_started_at=0, stage=4, stages=5)
    return 1000 * _seconds(lambda: judge(policy, tally.counts(), look))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
