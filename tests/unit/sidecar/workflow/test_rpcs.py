"""Every RPC and message part that the installed SDK knows, named as served or refused.

What fails here after an update of the SDK is new in it: serve it, or list it as refused.
"""

from __future__ import annotations

import subprocess
import sys

from retunable.sidecar.workflow.protos import pb
from retunable.sidecar.workflow.service import WorkflowService

SERVED = {
    "CompleteActivityTask",
    "CompleteOrchestratorTask",
    "CompleteWorkflowTask",
    "GetInstance",
    "GetInstanceHistory",
    "GetWorkItems",
    "Hello",
    "ListInstanceIDs",
    "PurgeInstances",
    "RaiseEvent",
    "RerunWorkflowFromEvent",
    "ResumeInstance",
    "StartInstance",
    "SuspendInstance",
    "TerminateInstance",
    "WaitForInstanceCompletion",
    "WaitForInstanceStart",
}
REFUSED: set[str] = set()

ACTIONS_SERVED = {
    "completeWorkflow",
    "createChildWorkflow",
    "createDetachedWorkflow",
    "createTimer",
    "scheduleTask",
    "terminateWorkflow",
    "workflowVersionNotAvailable",
}
ACTIONS_REFUSED = {"sendEvent"}


def test_every_rpc_is_served_or_refused() -> None:
    methods = {
        method.name for method in pb.DESCRIPTOR.services_by_name["TaskHubSidecarService"].methods
    }
    assert methods == SERVED | REFUSED
    assert {name for name in methods if hasattr(WorkflowService, name)} == SERVED


def test_every_action_is_served_or_refused() -> None:
    (kinds,) = (
        one for one in pb.WorkflowAction.DESCRIPTOR.oneofs if one.name == "workflowActionType"
    )
    assert {field.name for field in kinds.fields} == ACTIONS_SERVED | ACTIONS_REFUSED


def test_every_capability_of_a_worker_is_known() -> None:
    assert set(pb.WorkerCapability.keys()) == {
        "WORKER_CAPABILITY_UNSPECIFIED",
        "WORKER_CAPABILITY_STATEFUL_HISTORY",
        # Keeps proxies from closing an idle stream; here is none between.
        "WORKER_CAPABILITY_HEALTH_PING",
    }


def test_the_messages_come_without_the_sdk_around_them() -> None:
    program = (
        "import sys\n"
        "from retunable.sidecar.workflow.protos import pb\n"
        "assert 'aiohttp' not in sys.modules and 'dapr.ext.workflow' not in sys.modules\n"
        "import dapr.ext.workflow._durabletask.internal.protos as theirs\n"
        "from dapr.ext.workflow import WorkflowRuntime\n"
        "assert theirs.HistoryEvent is pb.HistoryEvent\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)
