"""Every RPC that the installed SDK knows is served, or refused by name."""

from __future__ import annotations

import asyncio
from http.client import HTTPConnection
from typing import Any

import grpc
import grpc.aio
import pytest
from dapr.proto.runtime.v1 import dapr_pb2, metadata_pb2

from retunable.errors import Unavailable
from retunable.sidecar.api.service import RPCS
from retunable.sidecar.child import SidecarChild
from tests.integration.sidecar.conftest import STOP_SECONDS, StartSidecar

pytestmark = pytest.mark.embedded

SERVED = {
    "GetState",
    "GetBulkState",
    "SaveState",
    "DeleteState",
    "DeleteBulkState",
    "ExecuteStateTransaction",
    "PublishEvent",
    "BulkPublishEvent",
    "BulkPublishEventAlpha1",
    "SubscribeTopicEventsAlpha1",
    "GetSecret",
    "GetBulkSecret",
    "GetConfiguration",
    "GetConfigurationAlpha1",
    "SubscribeConfiguration",
    "SubscribeConfigurationAlpha1",
    "UnsubscribeConfiguration",
    "UnsubscribeConfigurationAlpha1",
    "GetMetadata",
    "SetMetadata",
    "Shutdown",
}
REFUSED = {
    "InvokeService", "InvokeBinding", "QueryStateAlpha1",
    "RegisterActorTimer", "UnregisterActorTimer", "RegisterActorReminder",
    "UnregisterActorReminder", "UnregisterActorRemindersByType", "ListActorReminders",
    "ListActorTimers", "GetActorState", "GetActorReminder", "GetActorTimer",
    "ExecuteActorStateTransaction", "InvokeActor", "SubscribeActorEventsAlpha1",
    "TryLockAlpha1", "UnlockAlpha1", "EncryptAlpha1", "DecryptAlpha1",
    "SubtleGetKeyAlpha1", "SubtleEncryptAlpha1", "SubtleDecryptAlpha1", "SubtleWrapKeyAlpha1",
    "SubtleUnwrapKeyAlpha1", "SubtleSignAlpha1", "SubtleVerifyAlpha1",
    "StartWorkflowAlpha1", "GetWorkflowAlpha1", "PurgeWorkflowAlpha1", "TerminateWorkflowAlpha1",
    "PauseWorkflowAlpha1", "ResumeWorkflowAlpha1", "RaiseEventWorkflowAlpha1",
    "StartWorkflowBeta1", "GetWorkflowBeta1", "PurgeWorkflowBeta1", "TerminateWorkflowBeta1",
    "PauseWorkflowBeta1", "ResumeWorkflowBeta1", "RaiseEventWorkflowBeta1",
    "ScheduleJobAlpha1", "ScheduleJob", "GetJobAlpha1", "GetJob", "DeleteJobAlpha1", "DeleteJob",
    "DeleteJobsByPrefixAlpha1", "DeleteJobsByPrefix", "ListJobsAlpha1", "ListJobs",
    "ConverseAlpha1", "ConverseAlpha2",
    "CreateIndexAlpha1", "GetIndexAlpha1", "ListIndexesAlpha1", "DeleteIndexAlpha1",
    "IndexDocumentsAlpha1", "GetDocumentsAlpha1", "DeleteDocumentsAlpha1", "SearchAlpha1",
    "CreateCollectionAlpha1", "GetCollectionAlpha1", "ListCollectionsAlpha1",
    "DeleteCollectionAlpha1", "UpsertVectorsAlpha1", "DeleteVectorsAlpha1", "GetVectorsAlpha1",
    "QueryVectorsAlpha1", "BatchQueryVectorsAlpha1",
    "SetBinaryFileAlpha1", "GetBinaryFileAlpha1", "DeleteBinaryFileAlpha1",
}  # fmt: skip


def test_every_rpc_of_the_sdk_is_in_one_of_the_lists() -> None:
    assert set(RPCS) == SERVED | REFUSED
    assert not SERVED & REFUSED


async def test_what_is_not_served_is_refused_by_name(sidecar: SidecarChild) -> None:
    service: Any = dapr_pb2.DESCRIPTOR.services_by_name["Dapr"]
    refused = {}
    async with grpc.aio.insecure_channel(f"127.0.0.1:{sidecar.grpc_port}") as channel:
        for method in service.methods:
            if method.name in REFUSED:
                refused[method.name] = await _refusal(channel, method)
    assert {name: code for name, (code, _) in refused.items()} == dict.fromkeys(
        REFUSED, grpc.StatusCode.UNIMPLEMENTED
    )
    assert all(name in text and "use Dapr" in text for name, (_, text) in refused.items())


async def _refusal(channel: Any, method: Any) -> tuple[grpc.StatusCode, str]:
    path = f"/{method.containing_service.full_name}/{method.name}"
    call: Any
    match method.client_streaming, method.server_streaming:
        case False, False:
            call = channel.unary_unary(path)(b"", timeout=10)
        case False, True:
            call = channel.unary_stream(path)(b"", timeout=10)
        case True, False:
            call = channel.stream_unary(path)(timeout=10)
        case _:
            call = channel.stream_stream(path)(timeout=10)
    return await call.code(), await call.details()


async def test_metadata_says_what_an_agent_asks_for(dapr: Any) -> None:
    facts = await dapr.GetMetadata(metadata_pb2.GetMetadataRequest())
    stores = [c.name for c in facts.registered_components if "ACTOR" in c.capabilities]
    assert stores == ["statestore"]
    assert facts.actor_runtime.host_ready
    assert list(facts.scheduler.connected_addresses)
    assert facts.workflows.connected_workers == 0
    assert facts.runtime_version.startswith("retunable-embedded-")
    assert facts.id == "shop"


async def test_what_an_app_adds_to_the_metadata_is_there(dapr: Any) -> None:
    await dapr.SetMetadata(metadata_pb2.SetMetadataRequest(key="team", value="desk"))
    facts = await dapr.GetMetadata(metadata_pb2.GetMetadataRequest())
    assert facts.extended_metadata["team"] == "desk"


async def test_shutdown_ends_the_process_in_order(dapr: Any, sidecar: SidecarChild) -> None:
    await dapr.Shutdown(metadata_pb2.GetMetadataRequest())
    assert sidecar.wait() == 0


def test_health_is_204_and_goes_with_the_sidecar(sidecar: SidecarChild) -> None:
    assert _status(sidecar.http_port, "/v1.0/healthz/outbound") == 204
    assert _status(sidecar.http_port, "/v1.0/state/statestore/a") == 501
    assert sidecar.stop(within_seconds=STOP_SECONDS) == 0
    with pytest.raises(ConnectionRefusedError):
        _status(sidecar.http_port, "/v1.0/healthz")


async def test_with_a_token_nobody_is_served_without_it(
    start_sidecar: StartSidecar, open_stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAPR_API_TOKEN", "s3cret")
    child = start_sidecar()
    dapr = open_stub(child)
    request = metadata_pb2.GetMetadataRequest()
    for given in ((), (("dapr-api-token", "wrong"),)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await dapr.GetMetadata(request, metadata=given)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert (await dapr.GetMetadata(request, metadata=(("dapr-api-token", "s3cret"),))).id == "shop"
    assert _status(child.http_port, "/v1.0/metadata") == 401
    assert _status(child.http_port, "/v1.0/healthz") == 204


async def test_thousands_of_calls_at_once_are_all_answered(dapr: Any) -> None:
    # gRPC's default drops calls above 1,000 that wait.
    request = metadata_pb2.GetMetadataRequest()
    replies = await asyncio.gather(*(dapr.GetMetadata(request) for _ in range(4_000)))
    assert {reply.id for reply in replies} == {"shop"}


def test_a_port_that_is_taken_is_named(sidecar: SidecarChild, start_sidecar: StartSidecar) -> None:
    with pytest.raises(Unavailable, match=f"gRPC port {sidecar.grpc_port} .* is taken"):
        start_sidecar("desk", grpc_port=sidecar.grpc_port)
    with pytest.raises(Unavailable, match=f"HTTP port {sidecar.http_port} .* is taken"):
        start_sidecar("desk", http_port=sidecar.http_port)


def test_a_second_sidecar_of_an_app_is_told_of_the_first(
    sidecar: SidecarChild, start_sidecar: StartSidecar
) -> None:
    with pytest.raises(Unavailable, match=f"pid {sidecar.pid}, gRPC port {sidecar.grpc_port}"):
        start_sidecar()


def _status(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
