"""What workflows can do, through the unmodified SDK on the embedded sidecar."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from dapr.ext.workflow import (
    DaprWorkflowClient,
    DaprWorkflowContext,
    RetryPolicy,
    WorkflowActivityContext,
    WorkflowRuntime,
    when_any,
)
from dapr.ext.workflow._durabletask.internal import protos as pb
from dapr.ext.workflow._durabletask.internal.orchestrator_service_pb2_grpc import (
    TaskHubSidecarServiceStub,
)

from dev.embedded import EmbeddedSidecar
from tests.integration.sidecar.workflow import driver

pytestmark = pytest.mark.embedded

Body = Generator[Any, Any, Any]
RETRIES = RetryPolicy(first_retry_interval=timedelta(milliseconds=10), max_number_of_attempts=3)

_attempts: dict[str, int] = {}


def waits(ctx: DaprWorkflowContext, name: str) -> Body:
    return (yield ctx.wait_for_external_event(name))


def waits_shortly(ctx: DaprWorkflowContext, _: Any) -> Body:
    event = ctx.wait_for_external_event("never")
    limit = ctx.create_timer(timedelta(milliseconds=20))
    first = yield when_any([event, limit])
    return "in time" if first is event else "too late"


def waits_twice(ctx: DaprWorkflowContext, name: str) -> Body:
    first = yield ctx.wait_for_external_event(name)
    second = yield ctx.wait_for_external_event(name)
    return [first, second]


def parent_of_waiting(ctx: DaprWorkflowContext, child_id: str) -> Body:
    return (yield ctx.call_child_workflow(waits, input="go", instance_id=child_id))


def child_fails_twice(ctx: DaprWorkflowContext, key: str) -> Body:
    _attempts[key] = _attempts.get(key, 0) + (0 if ctx.is_replaying else 1)
    yield ctx.create_timer(timedelta(milliseconds=1))
    if _attempts[key] < 3:
        raise ValueError("not yet")
    return "at last"


def parent_that_retries(ctx: DaprWorkflowContext, key: str) -> Body:
    return (yield ctx.call_child_workflow(child_fails_twice, input=key, retry_policy=RETRIES))


def calls_nobody(ctx: DaprWorkflowContext, _: Any) -> Body:
    return (yield ctx.call_activity("nobody", input=1))


def counts_down(ctx: DaprWorkflowContext, left: int) -> Body:
    yield ctx.call_activity(echo, input=left)
    if left:
        ctx.continue_as_new(left - 1)
        return None
    return "zero"


def many_steps(ctx: DaprWorkflowContext, count: int) -> Body:
    total = 0
    for number in range(count):
        total += yield ctx.call_activity(echo, input=number)
    return total


def large(ctx: DaprWorkflowContext, size: int) -> Body:
    text = yield ctx.call_activity(grow, input=size)
    return len((yield ctx.call_activity(echo, input=text)))


def echo(ctx: WorkflowActivityContext, value: Any) -> Any:
    del ctx
    return value


def grow(ctx: WorkflowActivityContext, size: int) -> str:
    del ctx
    return "x" * size


WORKFLOWS: tuple[Callable[..., Any], ...] = (
    waits,
    waits_shortly,
    waits_twice,
    parent_of_waiting,
    child_fails_twice,
    parent_that_retries,
    calls_nobody,
    counts_down,
    many_steps,
    large,
)


def registered(runtime: WorkflowRuntime) -> WorkflowRuntime:
    for workflow in WORKFLOWS:
        # The SDK marks what it registered; a second runtime gets functions of its own.
        runtime.register_workflow(_copy(workflow), name=workflow.__name__)
    for activity in (echo, grow):
        runtime.register_activity(_copy(activity), name=activity.__name__)
    return runtime


def _copy(function: Callable[..., Any]) -> Callable[..., Any]:
    def copied(ctx: Any, value: Any) -> Any:
        return function(ctx, value)

    return copied


@pytest.fixture(scope="module")
def client(shared_sidecar: EmbeddedSidecar) -> Iterator[DaprWorkflowClient]:
    port = shared_sidecar.grpc_port
    large_messages = {"max_grpc_message_length": 64 * 1024 * 1024}
    runtime = registered(driver.new_runtime(port, **large_messages))
    with driver.worker(runtime), driver.client(port) as made:
        yield made


@pytest.fixture(scope="module")
def stub(shared_sidecar: EmbeddedSidecar) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{shared_sidecar.grpc_port}") as channel:
        made: Any = TaskHubSidecarServiceStub
        yield made(channel)


def begin(client: DaprWorkflowClient, workflow: Callable[..., Any], value: Any = None) -> str:
    instance = f"{workflow.__name__}-{uuid.uuid4().hex}"
    return client.schedule_new_workflow(workflow.__name__, input=value, instance_id=instance)


def ended(client: DaprWorkflowClient, instance: str) -> tuple[str, str | None]:
    state = client.wait_for_workflow_completion(instance, timeout_in_seconds=driver.SECONDS)
    assert state is not None
    failure = state.failure_details
    return state.runtime_status.name, failure.message if failure else state.serialized_output


def status(client: DaprWorkflowClient, instance: str) -> str:
    state = client.get_workflow_state(instance)
    assert state is not None
    return str(state.runtime_status.name)


def test_an_event_is_kept_until_it_is_awaited_whatever_its_spelling(
    client: DaprWorkflowClient,
) -> None:
    instance = begin(client, waits_twice, "News")
    client.raise_workflow_event(instance, "NEWS", data="one")
    client.raise_workflow_event(instance, "news", data="two")
    assert ended(client, instance) == ("COMPLETED", '["one", "two"]')


def test_a_wait_with_a_limit_ends(client: DaprWorkflowClient) -> None:
    assert ended(client, begin(client, waits_shortly)) == ("COMPLETED", '"too late"')


def test_a_child_is_tried_again_under_its_own_id(client: DaprWorkflowClient) -> None:
    instance = begin(client, parent_that_retries, uuid.uuid4().hex)
    assert ended(client, instance) == ("COMPLETED", '"at last"')


def test_an_activity_that_is_not_registered_fails_its_workflow(client: DaprWorkflowClient) -> None:
    outcome, message = ended(client, begin(client, calls_nobody))
    assert outcome == "FAILED"
    assert message is not None
    assert "nobody" in message


def test_a_workflow_that_is_not_registered_fails(client: DaprWorkflowClient) -> None:
    instance = client.schedule_new_workflow("nowhere")
    assert ended(client, instance) == (
        "FAILED",
        "A 'nowhere' orchestrator was not registered.",
    )


def test_a_run_that_continues_as_new_keeps_a_short_history(
    client: DaprWorkflowClient, stub: Any
) -> None:
    instance = begin(client, counts_down, 20)
    assert ended(client, instance) == ("COMPLETED", '"zero"')
    history = stub.GetInstanceHistory(pb.GetInstanceHistoryRequest(instanceId=instance))
    assert len(history.events) == 6


def test_a_long_history_replays_from_what_the_worker_holds(client: DaprWorkflowClient) -> None:
    assert ended(client, begin(client, many_steps, 60)) == ("COMPLETED", str(sum(range(60))))


def test_a_worker_that_forgot_a_history_asks_for_it(sidecar: EmbeddedSidecar) -> None:
    runtime = registered(driver.new_runtime(sidecar.grpc_port, history_cache_max_instances=1))
    with driver.worker(runtime), driver.client(sidecar.grpc_port) as client:
        instances = [begin(client, many_steps, 20) for _ in range(4)]
        for instance in instances:
            assert ended(client, instance) == ("COMPLETED", str(sum(range(20))))


def test_a_worker_that_holds_no_histories_gets_them(sidecar: EmbeddedSidecar) -> None:
    runtime = registered(driver.new_runtime(sidecar.grpc_port, disable_stateful_history=True))
    with driver.worker(runtime), driver.client(sidecar.grpc_port) as client:
        assert ended(client, begin(client, many_steps, 20)) == ("COMPLETED", str(sum(range(20))))


def test_results_larger_than_grpcs_default_pass(client: DaprWorkflowClient) -> None:
    size = 6 * 1024 * 1024
    assert ended(client, begin(client, large, size)) == ("COMPLETED", str(size))


def test_a_suspended_workflow_goes_on_when_it_is_resumed(client: DaprWorkflowClient) -> None:
    instance = begin(client, waits, "go")
    client.pause_workflow(instance)
    client.raise_workflow_event(instance, "go", data="x")
    assert status(client, instance) == "SUSPENDED"
    client.resume_workflow(instance)
    assert ended(client, instance) == ("COMPLETED", '"x"')


def test_a_workflow_that_is_resumed_without_being_suspended_goes_on(
    client: DaprWorkflowClient,
) -> None:
    instance = begin(client, waits, "go")
    client.resume_workflow(instance)
    client.raise_workflow_event(instance, "go", data="x")
    assert ended(client, instance) == ("COMPLETED", '"x"')


def test_terminating_ends_what_is_below(client: DaprWorkflowClient) -> None:
    child = uuid.uuid4().hex
    instance = begin(client, parent_of_waiting, child)
    client.wait_for_workflow_start(child, timeout_in_seconds=driver.SECONDS)
    client.terminate_workflow(instance, output="enough", recursive=True)
    assert ended(client, instance) == ("TERMINATED", '"enough"')
    assert status(client, child) == "TERMINATED"


def test_a_purged_workflow_is_gone_with_what_is_below(client: DaprWorkflowClient) -> None:
    child = uuid.uuid4().hex
    instance = begin(client, parent_of_waiting, child)
    client.wait_for_workflow_start(child, timeout_in_seconds=driver.SECONDS)
    client.terminate_workflow(instance, recursive=True)
    client.purge_workflow(instance, recursive=True)
    assert client.get_workflow_state(instance) is None
    assert client.get_workflow_state(child) is None


def test_a_delayed_start_waits_for_its_time(client: DaprWorkflowClient) -> None:
    start_at = datetime.now(UTC) + timedelta(milliseconds=300)
    instance = client.schedule_new_workflow("many_steps", input=1, start_at=start_at)
    assert status(client, instance) == "PENDING"
    assert ended(client, instance) == ("COMPLETED", "0")
    assert datetime.now(UTC) >= start_at


def test_an_ended_workflow_runs_again_from_one_of_its_events(
    client: DaprWorkflowClient,
) -> None:
    instance = begin(client, many_steps, 4)
    ended(client, instance)
    anew = client.rerun_workflow_from_event(instance, 2, input=100)
    assert ended(client, anew) == ("COMPLETED", str(0 + 100 + 2 + 3))


def test_ids_are_listed_in_pages(client: DaprWorkflowClient, stub: Any) -> None:
    wanted = {begin(client, many_steps, 1) for _ in range(5)}
    seen: list[str] = []
    request = pb.ListInstanceIDsRequest(pageSize=2)
    while True:
        page = stub.ListInstanceIDs(request)
        seen += page.instanceIds
        if not page.continuationToken:
            break
        request.continuationToken = page.continuationToken
    assert wanted <= set(seen)
    assert len(seen) == len(set(seen))


def test_a_refused_operation_names_dapr(stub: Any) -> None:
    request = pb.PurgeInstancesRequest(purgeInstanceFilter=pb.PurgeInstanceFilter())
    with pytest.raises(grpc.RpcError) as refused:
        stub.PurgeInstances(request, timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "use Dapr for this" in str(refused.value.details())


@pytest.mark.timeout(120)
def test_a_version_that_is_gone_stalls_until_a_worker_has_it_again(
    sidecar: EmbeddedSidecar,
) -> None:
    def runtime(version: str) -> WorkflowRuntime:
        made = driver.new_runtime(sidecar.grpc_port)
        made.register_versioned_workflow(
            _copy(waits), name="versioned", version_name=version, is_latest=True
        )
        return made

    with driver.client(sidecar.grpc_port) as client:
        with driver.worker(runtime("v1")):
            instance = client.schedule_new_workflow("versioned", input="go")
            # Scheduling waits for the first turn only so long; v1 must have had it.
            client.wait_for_workflow_start(instance, timeout_in_seconds=driver.SECONDS)
        with driver.worker(runtime("v2")):
            client.raise_workflow_event(instance, "go", data="x")
            driver.wait_until(lambda: status(client, instance) == "STALLED", "stalled")
        with driver.worker(runtime("v1")):
            assert ended(client, instance) == ("COMPLETED", '"x"')
