"""Judging a proposal with the checks that a config names, and checking their settings before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any

from retunable.agent.guardrails.check import CheckResult, Guardrail, Verdict
from retunable.agent.guardrails.proposal import Proposal
from retunable.agent.time_limit import TimeLimitPassed
from retunable.agent.tools.threads import ToolThreads
from retunable.config.agent_config import AgentConfig

_log = logging.getLogger("retunable")

_PASSED = Verdict()


async def judge(
    config: AgentConfig,
    proposal: Proposal,
    *,
    registered: Mapping[str, Guardrail],
    threads: ToolThreads,
) -> Verdict:
    """Return what the checks of ``config.guardrails`` say about a proposal; never raises on them.

    They run side by side. A check that raises, hangs or is not registered scores 0.
    """
    if not config.guardrails:
        return _PASSED
    threshold = config.guardrail_threshold
    results = await asyncio.gather(
        *(
            _judge_with(name, settings, threshold, proposal, registered, threads)
            for name, settings in config.guardrails.items()
        )
    )
    return Verdict(tuple(results))


def check_settings(
    guardrails: Mapping[str, Any],
    registered: Mapping[str, Guardrail],
    *,
    tools: Mapping[str, Collection[str]] | None = None,
) -> list[str]:
    """Return what is wrong with ``config.guardrails``; empty where it can be applied.

    ``tools`` are the argument names of each registered tool; with them, a rule for a tool or an
    argument that is not there is wrong too, for it would protect nothing.
    """
    reasons: list[str] = []
    for name, settings in guardrails.items():
        check = registered.get(name)
        if check is None:
            known = ", ".join(registered)
            reasons.append(f"names the check {name!r}, which is none of: {known}")
            continue
        found = check.check_settings(settings)
        if not found and name == "allowed_arguments" and tools is not None:
            found = _unknown_arguments(settings, tools)
        reasons += [f"{name}: {reason}" for reason in found]
    return reasons


def _unknown_arguments(
    rules: Mapping[str, Any], tools: Mapping[str, Collection[str]]
) -> tuple[str, ...]:
    reasons = [f"{tool!r} is no tool of this program" for tool in rules if tool not in tools]
    reasons += [
        f"tool {tool!r} has no argument {argument!r}"
        for tool, arguments in rules.items()
        for argument in arguments
        if tool in tools and argument not in tools[tool]
    ]
    return tuple(reasons)


async def _judge_with(
    name: str,
    settings: Mapping[str, Any],
    threshold: float,
    proposal: Proposal,
    registered: Mapping[str, Guardrail],
    threads: ToolThreads,
) -> CheckResult:
    check = registered.get(name)
    if check is None:
        return _broken(name, threshold, "this program has no such check")
    try:
        score = await check.score(proposal, settings, threads=threads)
    except TimeLimitPassed:
        _log.warning("guardrail %s ran out of time; it counts as failed", name)
        return _broken(name, threshold, "the check ran out of time")
    except Exception as error:  # noqa: BLE001 - a seam: a check may raise anything, and then nothing passes
        _log.warning("guardrail %s raised; it counts as failed", name, exc_info=True)
        return _broken(name, threshold, f"the check itself failed ({type(error).__name__})")
    reason = score.reason if score.value < threshold else ""
    return CheckResult(name=name, score=score.value, threshold=threshold, reason=reason)


def _broken(name: str, threshold: float, reason: str) -> CheckResult:
    return CheckResult(name=name, score=0.0, threshold=threshold, reason=reason, broken=True)
