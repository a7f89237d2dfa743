"""The provider of flags, asked through the OpenFeature SDK as a program asks it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason
from openfeature.provider import ProviderStatus

from retunable.agent.status import AgentStatus
from retunable.config.resolve import Resolution, resolve
from retunable.config.snapshot import Snapshot
from retunable.config.targeting import ListKey
from retunable.errors import NotReady
from retunable.live.callbacks import Callback, Callbacks
from retunable.live.health import Status
from retunable.openfeature import RetunableProvider
from tests.unit.config.worlds import built, document, envelope

SECONDS = 20.0
KEY = ListKey.of(b"of the test")
LISTED = {"key_id": KEY.id, "hashes": [KEY.listed_as("listed", "zoe")]}
OTHERS = {"key_id": "0" * 16, "hashes": ["0" * 32]}
FLAGS: tuple[dict[str, Any], ...] = (
    {"name": "listed", "users": LISTED},
    {"name": "of-others", "users": OTHERS},
    {"name": "pro", "when": [{"attribute": "plan", "in": ["pro"]}]},
    {"name": "paid", "when": [{"attribute": "paid", "in": ["true"]}]},
    {"name": "third", "when": [{"attribute": "tier", "in": ["3"]}]},
    {"name": "half", "percent": 50, "salt": "s"},
    {"name": "all", "percent": 100},
    {"name": "disabled", "percent": 100, "enabled": False},
    {"name": "expired", "percent": 100, "expires_at": "2020-01-01T00:00:00Z"},
)


def released(*flags: dict[str, Any]) -> Snapshot:
    found = built(document(envelope(5, flags=list(flags)))).snapshot
    assert found.document == "envelope", found.rejected
    return found


class Agent:
    """What the provider asks of an agent, without a sidecar; resolving is the real one."""

    def __init__(self, *flags: dict[str, Any], state: Status = Status.READY) -> None:
        self.snapshot: Snapshot | None = released(*flags)
        self.status = AgentStatus(state=state)
        self.statuses: Callbacks[AgentStatus] = Callbacks()
        self.changes: Callbacks[Snapshot] = Callbacks()

    def resolve(
        self,
        *,
        user_id: str | None = None,
        conversation_id: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> Resolution:
        if self.snapshot is None:
            raise NotReady("nothing was ever read", part="configuration store")
        return resolve(
            self.snapshot,
            user_id=user_id,
            conversation_id=conversation_id,
            attributes=attributes,
            list_key=KEY,
            now=1.8e9,
        )

    def on_status(self, callback: Callback[AgentStatus]) -> Callable[[], None]:
        return self.statuses.add(callback)

    def on_change(self, callback: Callback[Snapshot]) -> Callable[[], None]:
        return self.changes.add(callback)

    def become(self, state: Status) -> None:
        old, self.status = self.status, AgentStatus(state=state)
        self.statuses.tell(old, self.status)


@pytest.fixture(autouse=True)
def _no_providers() -> Iterator[None]:
    yield
    api.clear_providers()
    api.shutdown()


def client_of(agent: Agent) -> OpenFeatureClient:
    api.set_provider_and_wait(RetunableProvider(agent))
    return api.get_client()


def asked(
    flag: str, user: str | None = None, *, default: bool = False, **attributes: Any
) -> FlagEvaluationDetails[bool]:
    context = EvaluationContext(user, attributes)
    return client_of(Agent(*FLAGS)).get_boolean_details(flag, default, context)


@pytest.mark.parametrize(
    ("flag", "user", "attributes", "value", "reason"),
    [
        ("listed", "zoe", {}, True, Reason.TARGETING_MATCH),
        ("listed", "max", {}, False, Reason.DEFAULT),
        ("of-others", "zoe", {}, False, Reason.UNKNOWN),
        ("pro", "zoe", {"plan": "pro"}, True, Reason.TARGETING_MATCH),
        ("pro", None, {"plan": "pro"}, True, Reason.TARGETING_MATCH),
        ("pro", "zoe", {"plan": "free"}, False, Reason.DEFAULT),
        ("pro", "zoe", {}, False, Reason.DEFAULT),
        ("paid", "zoe", {"paid": True}, True, Reason.TARGETING_MATCH),
        ("third", "zoe", {"tier": 3}, True, Reason.TARGETING_MATCH),
        ("half", "user-1", {}, True, Reason.SPLIT),
        ("half", "user-3", {}, False, Reason.SPLIT),
        ("all", None, {}, True, Reason.SPLIT),
        ("disabled", "zoe", {}, False, Reason.DISABLED),
        ("expired", "zoe", {}, False, Reason.DISABLED),
    ],
)
def test_a_flag_is_on_or_off_for_a_reason(
    flag: str, user: str | None, attributes: dict[str, Any], value: bool, reason: Reason
) -> None:
    details = asked(flag, user, default=not value, **attributes)
    assert (details.value, details.reason, details.error_code) == (value, reason, None)
    assert details.variant == ("on" if value else "off")
    assert details.flag_metadata["generation"] == 5


def test_a_conversation_decides_for_a_caller_without_a_targeting_key() -> None:
    assert asked("half", conversation_id="user-1").value is True
    assert asked("half", conversation_id="user-3").value is False


@pytest.mark.parametrize(
    ("flag", "user", "code"),
    [
        ("nowhere", "zoe", ErrorCode.FLAG_NOT_FOUND),
        ("half", None, ErrorCode.TARGETING_KEY_MISSING),
        ("half", "", ErrorCode.TARGETING_KEY_MISSING),
        ("half", "x" * 257, ErrorCode.INVALID_CONTEXT),
        ("half", "\ud800", ErrorCode.INVALID_CONTEXT),
    ],
)
@pytest.mark.parametrize("default", [True, False])
def test_what_cannot_be_answered_is_an_error_with_the_callers_default(
    flag: str, user: str | None, code: ErrorCode, default: bool
) -> None:
    details = asked(flag, user, default=default)
    assert (details.value, details.reason, details.error_code) == (default, Reason.ERROR, code)
    assert details.error_message


def test_a_flag_has_no_other_type_than_boolean() -> None:
    client = client_of(Agent(*FLAGS))
    told = (
        client.get_string_details("all", "d"),
        client.get_integer_details("all", 1),
        client.get_float_details("all", 1.5),
        client.get_object_details("all", {"d": 1}),
    )
    assert [one.value for one in told] == ["d", 1, 1.5, {"d": 1}]
    assert {one.error_code for one in told} == {ErrorCode.TYPE_MISMATCH}
    assert client.get_string_details("nowhere", "d").error_code is ErrorCode.FLAG_NOT_FOUND


async def test_it_answers_asynchronously_too() -> None:
    client = client_of(Agent(*FLAGS))
    assert await client.get_boolean_value_async("all", False)


def test_what_a_stale_agent_says_is_marked() -> None:
    agent = Agent(*FLAGS, state=Status.STALE)
    details = client_of(agent).get_boolean_details("all", False)
    assert (details.value, details.reason) == (True, Reason.STALE)


def test_an_agent_without_a_configuration_is_not_ready() -> None:
    agent = Agent(state=Status.NOT_READY)
    agent.snapshot = None
    with pytest.raises(ProviderNotReadyError):
        client_of(agent)
    details = api.get_client().get_boolean_details("all", True)
    assert (details.value, details.reason) == (True, Reason.ERROR)
    assert details.error_code is ErrorCode.PROVIDER_NOT_READY


class Heard:
    """One event of the SDK, as it came."""

    def __init__(self, event: ProviderEvent) -> None:
        self._came = threading.Event()
        self.details: EventDetails | None = None
        api.get_client().add_handler(event, self._hear)

    def _hear(self, details: EventDetails) -> None:
        self.details = details
        self._came.set()

    async def wait(self) -> EventDetails:
        assert await asyncio.to_thread(self._came.wait, SECONDS)
        assert self.details is not None
        return self.details


@pytest.mark.parametrize(
    ("state", "event", "status"),
    [
        (Status.STALE, ProviderEvent.PROVIDER_STALE, ProviderStatus.STALE),
        (Status.ERROR, ProviderEvent.PROVIDER_ERROR, ProviderStatus.ERROR),
    ],
)
async def test_a_change_of_the_agents_status_is_an_event(
    state: Status, event: ProviderEvent, status: ProviderStatus
) -> None:
    agent = Agent(*FLAGS)
    client = client_of(agent)
    heard = Heard(event)
    agent.become(state)
    assert (await heard.wait()).provider_name == "Retunable"
    assert client.get_provider_status() is status


async def test_a_provider_that_is_set_while_its_agent_is_stale_says_so() -> None:
    stale = Heard(ProviderEvent.PROVIDER_STALE)
    client = client_of(Agent(*FLAGS, state=Status.STALE))
    assert (await stale.wait()).provider_name == "Retunable"
    assert client.get_provider_status() is ProviderStatus.STALE


async def test_a_stale_agent_that_is_ready_again_says_so() -> None:
    agent = Agent(*FLAGS)
    client = client_of(agent)
    stale = Heard(ProviderEvent.PROVIDER_STALE)
    agent.become(Status.STALE)
    await stale.wait()
    ready = Heard(ProviderEvent.PROVIDER_READY)
    agent.become(Status.READY)
    await ready.wait()
    assert client.get_provider_status() is ProviderStatus.READY


async def test_an_agent_that_gets_its_first_configuration_later_becomes_ready() -> None:
    agent = Agent(state=Status.NOT_READY)
    agent.snapshot = None
    with pytest.raises(ProviderNotReadyError):
        client_of(agent)
    ready = Heard(ProviderEvent.PROVIDER_READY)
    agent.snapshot = released(*FLAGS)
    agent.become(Status.READY)
    await ready.wait()
    assert api.get_client().get_boolean_value("all", False)


async def test_changed_flags_are_named_in_an_event() -> None:
    agent = Agent(*FLAGS)
    client_of(agent)
    heard = Heard(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
    after = released(FLAGS[0], FLAGS[2] | {"percent": 5, "salt": "s"}, {"name": "new"}, *FLAGS[3:])
    agent.changes.tell(agent.snapshot, after)
    assert (await heard.wait()).flags_changed == ["new", "of-others", "pro"]


async def test_a_provider_that_was_replaced_hears_nothing_of_the_agent() -> None:
    agent = Agent(*FLAGS)
    provider = RetunableProvider(agent)
    provider.initialize(EvaluationContext())
    said: list[object] = []
    provider.attach(lambda *event: said.append(event))
    provider.shutdown()
    agent.become(Status.STALE)
    agent.changes.tell(agent.snapshot, released())
    await asyncio.sleep(0)
    assert said == []
