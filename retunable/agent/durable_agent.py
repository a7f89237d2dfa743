"""The agent that a program declares: checked when constructed, alive between start and stop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from retunable.agent.defaults import default_config, program_constraints, registered_tools
from retunable.agent.guardrails.function import registered_guardrails
from retunable.agent.heartbeats import INTERVAL_SECONDS
from retunable.agent.loop.pinning import Pin, parse_pin
from retunable.agent.models.model import ModelProvider
from retunable.agent.models.offline_provider import OfflineProvider
from retunable.agent.models.openai_provider import OpenAIProvider
from retunable.agent.models.prices import Prices
from retunable.agent.models.secrets import KeySource
from retunable.agent.program import Program
from retunable.agent.retry import RetryPolicy
from retunable.agent.runs.documents import RunRequest
from retunable.agent.runs.records import RunResult
from retunable.agent.runs.telling import Rating, parse_rating
from retunable.agent.runs.views import ExplainedStep, Explanation, RunStatus
from retunable.agent.started_agent import StartedAgent
from retunable.agent.state.keys import new_run_id
from retunable.agent.status import AgentStatus
from retunable.config.constraints import Constraints
from retunable.config.declaration import Declaration, declare
from retunable.config.resolve import Resolution
from retunable.config.snapshot import Snapshot
from retunable.config.split import is_usable
from retunable.errors import ConfigurationError, NotReady, UserUnusable
from retunable.live.callbacks import Callback, Callbacks
from retunable.live.ed25519 import trust_in
from retunable.live.health import Reason, Status
from retunable.live.subscription import ConfigSubscription


class DurableAgent:
    """A durable LLM agent whose behaviour is live data.

    Use it as ``async with agent:`` or call ``start`` and ``stop``; nothing runs before, and
    nothing has to be kept in a variable for it to stay alive.
    """

    def __init__(
        self,
        name: str,
        *,
        role: str | None = None,
        goal: str | None = None,
        instructions: str | Sequence[str] | None = None,
        style_guidelines: str | Sequence[str] | None = None,
        system_prompt: str | None = None,
        model: str | None = None,
        provider: str = "openai",
        temperature: float | None = None,
        max_tokens: int | None = None,
        max_iterations: int = 10,
        tools: Iterable[Callable[..., Any]] = (),
        tool_choice: str | None = None,
        guardrails: Mapping[str, Any] | None = None,
        guardrail_threshold: float = 0.5,
        guardrail_checks: Iterable[Callable[..., Any]] = (),
        configuration: ConfigSubscription | None = None,
        environment: str = "default",
        constraints: Constraints | None = None,
        providers: Mapping[str, ModelProvider] | None = None,
        pin: Pin | str = "turn",
        history_tokens: int = 16_000,
        model_retries: RetryPolicy | None = None,
        persona_log_seconds: float | None = 10.0,
        heartbeat_seconds: float | None = INTERVAL_SECONDS,
        user_key: KeySource | None = None,
        prices: Prices | None = None,
    ) -> None:
        """Declare an agent; the fields of its configuration are its code defaults.

        ``configuration`` of None keeps it on those, without a store. ``providers`` replace the
        default ones, ``openai`` and ``offline``. ``pin`` says whether a run stays on the config
        of its first step (``turn``), takes that of each model call (``call``), or shares one with
        its whole ``conversation``. ``history_tokens`` bounds what a run is told of its
        conversation's earlier runs, in tokens as estimated from characters. ``guardrail_checks``
        are functions that ``guardrails`` may name beside the built-in checks, ``model_retries``
        says how often a model call that failed is made again.
        ``persona_log_seconds`` is the period of the persona's log line, ``heartbeat_seconds`` that
        of what the control plane is told of this replica; None for none.

        ``user_key`` names the secret under which users are hashed, in flags' lists and in what the
        control plane is told of runs; without it no flag finds a user in its list, and every
        caller is anonymous to a rollout's judgement. ``prices`` are those of the models, in one
        currency; without them no run has a cost, and no rollout can judge which version is costly.

        Raises:
            ConfigurationError: the declaration cannot work; the message names the fix.
        """
        if history_tokens < 0:
            raise ConfigurationError(f"history_tokens={history_tokens!r} must be 0 or more")
        registered = registered_tools(tools)
        checks = registered_guardrails(guardrail_checks)
        chosen = _default_providers() if providers is None else dict(providers)
        subscription = configuration or ConfigSubscription()
        self._pin: Pin = parse_pin(pin)
        self._program = Program(
            declaration=declare(
                name,
                defaults=default_config(
                    {
                        "role": role,
                        "goal": goal,
                        "instructions": _listed(instructions),
                        "style_guidelines": _listed(style_guidelines),
                        "system_prompt": system_prompt,
                        "model": model,
                        "provider": provider,
                        "temperature": temperature,
                        "max_tokens": max_tokens,
                        "max_iterations": max_iterations,
                        "tool_choice": tool_choice,
                        "guardrails": guardrails,
                        "guardrail_threshold": guardrail_threshold,
                    }
                ),
                constraints=program_constraints(
                    constraints, tools=registered, providers=chosen, guardrails=checks
                ),
                environment=environment,
                prefix=subscription.prefix,
                config_key=subscription.config_key,
                accept=subscription.accept,
                trust=trust_in(subscription.trust),
            ),
            subscription=configuration,
            tools=registered,
            providers=chosen,
            persona_log_seconds=persona_log_seconds,
            history_tokens=history_tokens,
            guardrails=checks,
            model_retries=model_retries,
            heartbeat_seconds=heartbeat_seconds,
            user_key=user_key,
            prices=prices,
        )
        self._changes: Callbacks[Snapshot] = Callbacks()
        self._statuses: Callbacks[AgentStatus] = Callbacks()
        self._started: StartedAgent | None = None

    @property
    def name(self) -> str:
        """The agent's name."""
        return self.declaration.agent

    @property
    def declaration(self) -> Declaration:
        """What the program declared about this agent."""
        return self._program.declaration

    @property
    def configuration(self) -> ConfigSubscription | None:
        """Which store retunes this agent; None for one that stays on its code defaults."""
        return self._program.subscription

    @property
    def snapshot(self) -> Snapshot:
        """What the process knows now; raises NotReady where nothing was ever read."""
        return self._life().snapshot

    @property
    def status(self) -> AgentStatus:
        """How the agent is now."""
        if self._started is None:
            return AgentStatus(
                state=Status.NOT_READY, reason=Reason.STARTING, detail="the agent is not started"
            )
        return self._started.status

    def resolve(
        self,
        *,
        user_id: str | None = None,
        conversation_id: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> Resolution:
        """Return what a caller gets now: config, version, variant, flags, and the reason for each.

        Raises:
            UserUnusable: as for ``run``.
            NotReady: the agent is not started, or never had a configuration.
        """
        _check_user(user_id)
        return self._life().resolve(user_id, conversation_id, attributes)

    def on_change(self, callback: Callback[Snapshot]) -> Callable[[], None]:
        """Call back with the old and the new snapshot; returns what takes the callback away."""
        return self._changes.add(callback)

    def on_status(self, callback: Callback[AgentStatus]) -> Callable[[], None]:
        """Call back with the old and the new status; returns what takes the callback away."""
        return self._statuses.add(callback)

    async def start(self) -> None:
        """Follow the store and take runs, on the running event loop.

        Raises:
            ConfigurationError: the provider's key is missing, or an agent of this name is
                started in this process already.
        """
        if self._started is not None:
            raise ConfigurationError(f"agent {self.name!r} is started already")
        started = StartedAgent(self._program, changes=self._changes, statuses=self._statuses)
        self._started = started
        try:
            await started.start()
        except BaseException:
            self._started = None
            raise

    async def stop(self) -> None:
        """Stop within seconds, with or without a sidecar; runs that are not done go on later."""
        started, self._started = self._started, None
        if started is not None:
            await started.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def run(
        self,
        message: str,
        *,
        conversation_id: str | None = None,
        user_id: str | None = None,
        attributes: Mapping[str, str] | None = None,
        run_id: str | None = None,
        deadline: float | None = None,
    ) -> RunResult:
        """Run one durable turn and wait for its answer; ``deadline`` is in seconds from now.

        Raises:
            UserUnusable: the user id is empty, longer than 256 bytes of UTF-8, or no Unicode.
            NotReady: the agent is not started, or never had a configuration.
            Unavailable: the sidecar, or a part behind it that ``part`` names, is away.
            RunFailed: the run ended without an answer.
            RunTimeout: the deadline passed; the run goes on.
            RunIdConflict: the run id stands for another input.
            ConversationBusy: another run of the conversation goes on.
            RunForgotten: the run's conversation was forgotten.
        """
        request = self._request(message, conversation_id, user_id, attributes, run_id)
        return await self._life().ready_run_parts.runs.run(request, deadline=deadline)

    async def begin(
        self,
        message: str,
        *,
        conversation_id: str | None = None,
        user_id: str | None = None,
        attributes: Mapping[str, str] | None = None,
        run_id: str | None = None,
    ) -> RunStatus:
        """Start a run without waiting for its answer; it is durable when this returns.

        Raises: what ``run`` raises before a run is started.
        """
        request = self._request(message, conversation_id, user_id, attributes, run_id)
        return await self._life().ready_run_parts.runs.begin(request)

    async def run_state(self, run_id: str) -> RunStatus:
        """Return how a run is now, with its answer if it has one.

        Raises:
            RunUnknown: no run of this id is kept.
            Unavailable: the sidecar or the state store is away.
        """
        return await self._life().run_parts.runs.state(run_id)

    async def runs(self, *, limit: int = 50) -> tuple[RunStatus, ...]:
        """Return the latest runs of this agent, newest first; at most 500 are listed.

        Raises:
            Unavailable: the sidecar or the state store is away.
        """
        return await self._life().run_parts.runs.latest(limit)

    async def explain(self, run_id: str) -> Explanation:
        """Return everything that is kept of a run: each step, and the configuration that gave it.

        Raises:
            RunUnknown: no run of this id is kept.
            Unavailable: the sidecar or the state store is away.
        """
        return await self._life().run_parts.explaining.explain(run_id)

    def follow(self, run_id: str) -> AsyncIterator[ExplainedStep]:
        """Yield the steps of a run as they come, until it is over.

        A step comes when its model call is recorded, and again with each recorded tool result.
        The iterator raises what ``run_state`` raises.
        """
        return self._life().run_parts.explaining.follow(run_id)

    async def stop_run(self, run_id: str) -> RunStatus:
        """End a run without an answer; one that is over stays as it is.

        Raises:
            RunUnknown: no run of this id is kept.
            Unavailable: the sidecar or the state store is away.
        """
        return await self._life().run_parts.runs.stop(run_id)

    async def feedback(
        self, run_id: str, rating: Rating | str, *, user_id: str | None = None
    ) -> None:
        """Keep how a user rated a run, ``up`` or ``down``; of several ratings the last one counts.

        Raises:
            ConfigurationError: there is no such rating.
            UserUnusable: as for ``run``.
            RunUnknown: no run of this id is kept.
            RunForgotten: its conversation was forgotten.
            Unavailable: the sidecar or the state store is away; repeat it later.
        """
        _check_user(user_id)
        ratings = self._life().run_parts.ratings
        await ratings.rate(run_id, parse_rating(rating), user_id=user_id)

    async def forget(self, conversation_id: str) -> int:
        """Erase what was said in a conversation, stopping its run; return how many runs it had.

        Which configurations gave the answers stays; the answers are gone for good.

        Raises:
            Unavailable: the sidecar or the state store is away; repeat it later.
        """
        return await self._life().run_parts.forget(conversation_id)

    def _request(
        self,
        message: str,
        conversation_id: str | None,
        user_id: str | None,
        attributes: Mapping[str, str] | None,
        run_id: str | None,
    ) -> RunRequest:
        _check_user(user_id)
        return RunRequest(
            agent=self.name,
            environment=self.declaration.environment,
            run_id=run_id or new_run_id(),
            message=message,
            pin=self._pin,
            conversation_id=conversation_id,
            user_id=user_id,
            attributes=dict(attributes or {}),
            own_id=run_id is None,
        )

    def _life(self) -> StartedAgent:
        if self._started is None:
            raise NotReady(
                f"agent {self.name!r} is not started; use `async with agent:`",
                part="configuration store",
            )
        return self._started


def _default_providers() -> dict[str, ModelProvider]:
    return {"openai": OpenAIProvider(), "offline": OfflineProvider()}


def _check_user(user_id: str | None) -> None:
    if user_id is not None and not is_usable(user_id):
        raise UserUnusable(user_id)


def _listed(texts: str | Sequence[str] | None) -> list[str] | None:
    if texts is None:
        return None
    return [texts] if isinstance(texts, str) else list(texts)
