"""The embedded sidecar in a thread of the process that uses it, as a test may want it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext

from retunable import ConfigSubscription, DurableAgent, Snapshot
from retunable.errors import Unavailable
from retunable.sidecar.settings import SidecarSettings
from retunable.sidecar.thread import SidecarThread
from retunable.testing import EmbeddedSidecar
from tests.integration.sidecar.workflow import driver

pytestmark = pytest.mark.embedded

SECONDS = 30.0

PROGRAM = """
import sys
from pathlib import Path
{imports}
with EmbeddedSidecar(Path(sys.argv[1]), runs_as="thread") as sidecar:
    import dapr.ext.workflow as wf
    runtime = wf.WorkflowRuntime(port=sidecar.environment["DAPR_GRPC_PORT"])
    def twice(ctx, number): return 2 * number
    def program(ctx, number): return (yield ctx.call_activity(twice, input=number))
    runtime.register_workflow(program)
    runtime.register_activity(twice)
    runtime.start()
    client = wf.DaprWorkflowClient(port=sidecar.environment["DAPR_GRPC_PORT"])
    run = client.schedule_new_workflow(program, input=21)
    print(client.wait_for_workflow_completion(run, timeout_in_seconds=30).serialized_output)
    client.close()
    runtime.shutdown()
"""


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[EmbeddedSidecar]:
    with EmbeddedSidecar(tmp_path, runs_as="thread") as running:
        yield running


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "embedded sidecar"]


def test_it_is_a_thread_and_no_process_and_goes_with_its_block(tmp_path: Path) -> None:
    before = psutil.Process().children()
    with EmbeddedSidecar(tmp_path, runs_as="thread"):
        assert (threads(), psutil.Process().children()) == (["embedded sidecar"], before)
    assert threads() == []


async def test_an_agent_is_retuned_on_it_and_answers(sidecar: EmbeddedSidecar) -> None:
    agent = DurableAgent(
        "on a thread",
        role="Guide",
        provider="offline",
        model="offline",
        configuration=ConfigSubscription(last_good_dir=None),
        persona_log_seconds=None,
    )
    taken = asyncio.Event()

    async def changed(_: Snapshot | None, new: Snapshot) -> None:
        if new.config.role == "Expert Data Scientist":
            taken.set()

    agent.on_change(changed)
    async with asyncio.timeout(SECONDS), agent:
        assert "Guide" in (await agent.run("Who are you?")).text
        sidecar.set("agent_role", "Expert Data Scientist")
        await taken.wait()
        assert "Expert Data Scientist" in (await agent.run("Who are you?")).text


def test_a_workflow_of_the_plain_sdk_runs_on_it(sidecar: EmbeddedSidecar) -> None:
    port = int(sidecar.environment["DAPR_GRPC_PORT"])
    runtime = driver.new_runtime(port)

    def twice(ctx: DaprWorkflowContext, count: int) -> Generator[Any, Any, list[int]]:
        first = yield ctx.call_activity("square", input=count)
        second = yield ctx.call_activity("square", input=first)
        return [first, second]

    def square(ctx: WorkflowActivityContext, number: int) -> int:
        del ctx
        return number * number

    runtime.register_workflow(twice, name="twice")
    runtime.register_activity(square, name="square")
    with driver.worker(runtime), driver.client(port) as client:
        run = client.schedule_new_workflow("twice", input=3)
        ended = client.wait_for_workflow_completion(run, timeout_in_seconds=int(SECONDS))
        assert ended is not None
        assert (ended.runtime_status.name, ended.serialized_output) == ("COMPLETED", "[9, 81]")


@pytest.mark.parametrize(
    "imports",
    [
        "from retunable.testing import EmbeddedSidecar",
        "import dapr.ext.workflow\nfrom retunable.testing import EmbeddedSidecar",
    ],
    ids=["sidecar first", "SDK first"],
)
def test_the_sdk_and_it_share_one_set_of_messages_whichever_is_imported_first(
    imports: str, tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(imports=imports), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, "42"), ran.stderr


def test_a_second_one_for_the_same_app_is_refused_and_leaves_no_thread(tmp_path: Path) -> None:
    settings = SidecarSettings(app_id="shop", data_dir=tmp_path)
    first = SidecarThread.start(settings)
    with pytest.raises(Unavailable, match=f"'shop' runs already .*gRPC port {first.grpc_port}"):
        SidecarThread.start(settings)
    first.stop(within_seconds=SECONDS)
    assert threads() == []


def test_one_that_is_not_ready_in_time_is_given_up_and_goes(tmp_path: Path) -> None:
    settings = SidecarSettings(app_id="shop", data_dir=tmp_path)
    with pytest.raises(Unavailable, match="not ready within 0 s"):
        SidecarThread.start(settings, ready_seconds=0)
    driver.wait_until(lambda: not threads(), "the thread to end")
    SidecarThread.start(settings).stop(within_seconds=SECONDS)


def test_what_it_kept_is_there_for_the_next_one_a_child(tmp_path: Path) -> None:
    with EmbeddedSidecar(tmp_path, app_id="shop", runs_as="thread") as first:
        first.set("agent_role", "Guide")
    with EmbeddedSidecar(tmp_path, app_id="shop", runs_as="child") as second:
        assert second.get("agent_role") == "Guide"
