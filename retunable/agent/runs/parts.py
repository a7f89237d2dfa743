"""Everything of one agent that is bound to its sidecar, put together: what runs are made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from retunable.agent.conversations.conversations import Conversations
from retunable.agent.conversations.history import History
from retunable.agent.loop.steps import Kept
from retunable.agent.loop.workflow_client import WorkflowClient
from retunable.agent.replica import replica_name
from retunable.agent.runs.awaiting import Awaiting
from retunable.agent.runs.book import RunBook
from retunable.agent.runs.explaining import Explaining
from retunable.agent.runs.index import RunIndex
from retunable.agent.runs.ratings import Ratings
from retunable.agent.runs.runs import Runs
from retunable.agent.runs.starting import Starting
from retunable.agent.runs.telling import Teller, Telling
from retunable.agent.sidecar_link import SidecarLink
from retunable.agent.state.contents import Contents
from retunable.agent.state.dapr_state import DaprState
from retunable.agent.state.keys import StateKeys
from retunable.agent.state.store import StateStore
from retunable.agent.users import Users
from retunable.config.declaration import Declaration
from retunable.events.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParts:
    """What an agent keeps its runs with; close it when the agent stops."""

    link: SidecarLink
    kept: Kept
    runs: Runs
    index: RunIndex
    explaining: Explaining
    ratings: Ratings
    replica: str

    async def forget(self, conversation_id: str) -> int:
        """Erase what was said in a conversation; return how many runs it had."""
        conversations = self.kept.conversations
        while True:
            standing = await conversations.read(conversation_id)
            runs = await conversations.all_runs(standing)
            for run_id in reversed(runs):
                await self.runs.erase(run_id)
            if await conversations.empty(standing):
                return len(runs)

    async def close(self) -> None:
        """Write what is left of the list of runs, then close the channel."""
        await self.index.close()
        await self.link.close()


def run_parts(
    declaration: Declaration,
    *,
    history_tokens: int,
    end_here: Callable[[str], Awaitable[None]],
    users: Users,
    put: Callable[[Event], None],
) -> RunParts:
    """Open the channel to the sidecar and put the parts together, on the running event loop.

    ``put`` has the events about runs published.
    """
    replica = replica_name()
    teller = Teller(agent=declaration.agent, environment=declaration.environment, replica=replica)
    telling = Telling(teller, users=users, put=put)
    link = SidecarLink()
    keys = StateKeys(declaration.agent, declaration.environment)
    store: StateStore = DaprState(link)
    book, index = RunBook(store, keys, over=telling.ended), RunIndex(store, keys)
    contents = Contents(store, keys)

    async def goes_on(run_id: str) -> bool:
        return await runs.goes_on(run_id)

    conversations = Conversations(store, keys, goes_on=goes_on)
    workflows = WorkflowClient(link, keys)
    starting = Starting(
        link, workflows, book=book, conversations=conversations, index=index, replica=replica
    )
    runs = Runs(
        workflows,
        starting=starting,
        awaiting=Awaiting(link, workflows, book=book, starting=starting, telling=telling),
        book=book,
        index=index,
        telling=telling,
        end_here=end_here,
    )
    return RunParts(
        link=link,
        kept=Kept(
            met=index.note,
            book=book,
            contents=contents,
            conversations=conversations,
            history=History(book, tokens=history_tokens),
            telling=telling,
        ),
        runs=runs,
        index=index,
        explaining=Explaining(runs, book, contents),
        ratings=Ratings(book, store, keys, tell=telling.rated),
        replica=replica,
    )
