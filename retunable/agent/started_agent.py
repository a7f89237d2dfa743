"""An agent between start and stop: everything of it that is bound to one event loop.

Starts and stops the parts in order; what each part does is its own business.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from retunable.agent.code_defaults import CodeDefaults, Configuration
from retunable.agent.direct_writes import DirectWrites
from retunable.agent.expired_flags import ExpiredFlags
from retunable.agent.guardrails.guard import Guardrails
from retunable.agent.heartbeats import Heartbeats, Replica
from retunable.agent.loop.steps import Steps
from retunable.agent.loop.worker import Host, join_worker, leave_worker
from retunable.agent.models.call import ModelCalls
from retunable.agent.models.provider_set import ProviderSet
from retunable.agent.own_sidecar import a_sidecar, own_sidecar
from retunable.agent.persona_log import PersonaLog
from retunable.agent.program import Program
from retunable.agent.replica import replica_name
from retunable.agent.status import AgentStatus, agent_status
from retunable.agent.tools.threads import ToolThreads
from retunable.agent.users import Users
from retunable.config.items import StoreKind
from retunable.config.resolve import Resolution, resolve
from retunable.config.snapshot import Snapshot
from retunable.errors import NotReady
from retunable.events.outbox import Outbox
from retunable.live.callbacks import Callbacks
from retunable.live.health import LiveStatus, Status
from retunable.live.witness import ItemChange

if TYPE_CHECKING:
    from retunable.agent.runs.parts import RunParts
    from retunable.events.publisher import EventPublisher

FIRST_SNAPSHOT_POLL_SECONDS: Final = 0.1
LOOK_AFTER_SECONDS: Final = 0.02
"""So long after an item changed heartbeats look at it: whoever runs on it comes first, as with
what is told of direct writes."""


class StartedAgent:
    """One life of an agent, from its start to its stop."""

    def __init__(
        self,
        program: Program,
        *,
        changes: Callbacks[Snapshot],
        statuses: Callbacks[AgentStatus],
    ) -> None:
        self._program = program
        self._changes = changes
        self._statuses = statuses
        self._configuration = _configuration(program)
        self._providers = ProviderSet(
            program.providers,
            on_refusal=self._status_may_differ,
            retries=program.model_retries,
        )
        self._users = Users(program.user_key)
        self._outbox = Outbox(program.events_file)
        self._direct_writes = DirectWrites(
            declaration=program.declaration, replica=replica_name(), put=self._outbox.put_unhurried
        )
        self._expired_flags = ExpiredFlags(on_expiry=self._status_may_differ)
        self._told = self.status
        self._run_parts: RunParts | None = None
        self._steps: Steps | None = None
        self._heartbeats: Heartbeats | None = None
        self._parts = AsyncExitStack()

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot of now; raises NotReady where nothing was ever read."""
        return self._configuration.snapshot

    @property
    def status(self) -> AgentStatus:
        """How the agent is now."""
        return self._status_of(self._configuration.status)

    @property
    def run_parts(self) -> RunParts:
        """What keeps this agent's runs; raises NotReady while it is still starting."""
        if self._run_parts is None:
            raise NotReady("the agent is still starting", part="configuration store")
        return self._run_parts

    @property
    def ready_run_parts(self) -> RunParts:
        """The same, to run something: raises NotReady where nothing was ever read."""
        _ = self.snapshot
        return self.run_parts

    async def start(self) -> None:
        """Start every part; if one raises, the others are stopped again."""
        async with AsyncExitStack() as parts:
            await self._start_parts(parts)
            self._parts = parts.pop_all()

    async def stop(self) -> None:
        """Stop every part, the last started first; each stop is bounded in time."""
        await self._parts.aclose()

    def resolve(
        self,
        user_id: str | None,
        conversation_id: str | None,
        attributes: Mapping[str, str] | None,
    ) -> Resolution:
        """Return what a caller gets now."""
        return resolve(
            self.snapshot,
            user_id=user_id,
            conversation_id=conversation_id,
            attributes=attributes,
            list_key=self._users.list_key,
            now=time.time(),
        )

    async def _start_parts(self, parts: AsyncExitStack) -> None:
        program = self._program
        await parts.enter_async_context(a_sidecar(app_id=program.declaration.document_key))
        parts.push_async_callback(self._providers.close)
        await self._providers.open(program.declaration.defaults.provider)
        self._configuration.pass_changes_on(self._changes)
        self._configuration.on_change(self._changed)
        self._configuration.on_status(self._status_changed)
        declaration = program.declaration
        key = (declaration.agent, declaration.environment)
        worker = join_worker(key)
        parts.push_async_callback(leave_worker, key)
        parts.push_async_callback(self._configuration.stop)
        self._configuration.on_item_change(self._items_changed)
        await self._configuration.start()
        parts.callback(self._expired_flags.close)
        await self._users.open(parts)
        # Imported here: a thread of the worker's has imported the SDK while the store was read.
        from retunable.agent.runs.parts import run_parts
        from retunable.events.publisher import EventPublisher

        self._run_parts = run_parts(
            declaration,
            history_tokens=program.history_tokens,
            end_here=self._end_here,
            users=self._users,
            put=self._outbox.put,
        )
        parts.push_async_callback(self._run_parts.close)
        publisher = EventPublisher(self._run_parts.link)
        self._outbox.start(publisher)
        parts.push_async_callback(self._outbox.stop)
        self._steps = self._new_steps(self._run_parts)
        parts.push_async_callback(self._steps.close)
        parts.push_async_callback(self._run_parts.runs.settle)
        worker.serve(key, Host(self._steps, asyncio.get_running_loop()))
        if program.heartbeat_seconds is not None:
            await self._beat(parts, publisher, program.heartbeat_seconds)
        if program.persona_log_seconds is not None:
            log = PersonaLog(self._configuration, seconds=program.persona_log_seconds)
            task = asyncio.create_task(log.go_on())
            parts.callback(task.cancel)
        threading.Thread(target=self._warm_up, name="retunable-warm-up", daemon=True).start()

    async def _beat(self, parts: AsyncExitStack, publisher: EventPublisher, seconds: float) -> None:
        declaration = self._program.declaration
        self._heartbeats = Heartbeats(
            Replica(
                agent=declaration.agent,
                environment=declaration.environment,
                name=replica_name(),
            ),
            publisher,
            snapshot=lambda: self.snapshot,
            items=lambda: self._configuration.items,
            status=lambda: self.status,
            interval_seconds=seconds,
        )
        await parts.enter_async_context(self._heartbeats.going())

    def _new_steps(self, run_parts: RunParts) -> Steps:
        program, threads = self._program, ToolThreads()
        guard = Guardrails(program.guardrails, threads=threads)
        return Steps(
            _Source(self._configuration),
            constraints=program.declaration.constraints,
            calls=ModelCalls(self._providers, program.tools, guard),
            tools=program.tools,
            threads=threads,
            kept=run_parts.kept,
            replica=run_parts.replica,
            users=self._users,
            prices=program.prices,
        )

    async def _end_here(self, run_id: str) -> None:
        if self._steps is not None:
            await self._steps.end(run_id)

    def _status_of(self, live: LiveStatus) -> AgentStatus:
        return agent_status(
            live,
            provider_refusal=self._providers.refusal,
            has_store=self._program.subscription is not None,
            embedded_restarts=own_sidecar.restarts,
            embedded_away=own_sidecar.away,
            expired_flags=self._expired_flags.names,
            events_waiting=self._outbox.waiting,
            events_dropped=self._outbox.dropped,
        )

    def _items_changed(self, changes: tuple[ItemChange, ...], store: StoreKind) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(self._direct_writes.saw, changes, store)
        loop.call_later(LOOK_AFTER_SECONDS, self._look)

    def _look(self) -> None:
        if self._heartbeats is not None:
            self._heartbeats.look()

    async def _changed(self, old: Snapshot | None, new: Snapshot) -> None:
        del old
        self._providers.note_refusal(None)
        self._expired_flags.watch(new)
        self._look()

    async def _status_changed(self, old: LiveStatus | None, new: LiveStatus) -> None:
        del old
        self._tell_status(self._status_of(new))

    def _status_may_differ(self) -> None:
        self._tell_status(self.status)

    def _tell_status(self, new: AgentStatus) -> None:
        old, self._told = self._told, new
        self._look()
        self._statuses.tell(old, new)

    def _warm_up(self) -> None:
        self._providers.warm_up()
        for tool in self._program.tools.values():
            _ = tool.spec


class _Source:
    """Gives steps the snapshot of now; a run that came back early waits for the first one."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    @property
    def current(self) -> bool:
        return self._configuration.status.state is Status.READY

    async def snapshot(self) -> Snapshot:
        while True:
            try:
                return self._configuration.snapshot
            except NotReady:
                await asyncio.sleep(FIRST_SNAPSHOT_POLL_SECONDS)


def _configuration(program: Program) -> Configuration:
    if program.subscription is None:
        return CodeDefaults(program.declaration)
    from retunable.live.configuration import LiveConfiguration
    from retunable.live.dapr_store import DaprConfigurationStore

    subscription = program.subscription
    store = DaprConfigurationStore(subscription.store, timings=subscription.timings)
    return LiveConfiguration(program.declaration, subscription, store=store)
