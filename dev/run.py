"""`make run-dapr`: Redis, Dapr and `agent.py` together in one terminal, until Ctrl-C.

The agent gets what `dapr run` would give it. What survives a run lies in `.retunable/run/`.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shlex
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from dev.dapr import ControlPlane, DaprMissing, Sidecar, ensure_dapr
from dev.ports import is_free
from dev.processes import ChildProcess, Launch, PartFailed
from dev.redis import RedisServer, find_program
from dev.resources import CHECKOUT, REDIS_RESOURCES, Addresses, write_resources

if TYPE_CHECKING:
    from types import FrameType

APP_ID = "hot-reload-demo"
REDIS_PORT = 6379  # where the files in resources/ say that it is
STOP_SECONDS = 15.0
LOOK_SECONDS = 0.2


class Ending:
    """Remembers that Ctrl-C or SIGTERM came; nothing else happens inside a signal handler."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


class Demo:
    """The parts of one `make run-dapr`."""

    def __init__(self, folder: Path, *, agent: Path, resources: Path) -> None:
        self._agent_file = agent
        self._redis = RedisServer(folder / "redis", port=REDIS_PORT if is_free(REDIS_PORT) else 0)
        self._control_plane = ControlPlane(folder / "dapr")
        self._sidecar = Sidecar(
            folder / "dapr" / "daprd",
            app_id=APP_ID,
            resources_path=self._adapted(resources, folder / "resources"),
            control_plane=self._control_plane,
        )
        self._agent: ChildProcess | None = None

    def start(self) -> None:
        self._control_plane.begin()
        self._redis.start()
        self._sidecar.begin()
        self._control_plane.wait_ready()
        self._sidecar.wait_ready()
        print(self._greeting(), flush=True)
        environment = {
            **os.environ,
            **self._sidecar.environment,
            "RETUNABLE_STORE": self._redis.url,
        }
        self._agent = ChildProcess(
            Launch(
                name="agent",
                command=[sys.executable, self._agent_file.name],
                log=None,
                environment=environment,
                working_directory=self._agent_file.parent,
            )
        )

    def watch(self, ending: Ending) -> int:
        """Return when asked to end (0) or when the agent ends by itself (its exit code)."""
        while not ending.asked:
            time.sleep(LOOK_SECONDS)
            if self._agent is not None and self._agent.exit_code is not None:
                print(f"{self._agent_file.name} ended with {self._agent.exit_code}", flush=True)
                return abs(self._agent.exit_code)
            self._revive()
        return 0

    def stop(self) -> int:
        """End the agent first, while its sidecar is still there; returns its exit code."""
        exit_code = self._agent.terminate(within_seconds=STOP_SECONDS) if self._agent else 0
        self._sidecar.stop()
        self._control_plane.stop()
        self._redis.stop()
        return exit_code

    def _adapted(self, resources: Path, copy: Path) -> Path:
        """Return the component files as they are, or a copy with the port that Redis got."""
        if self._redis.port == REDIS_PORT:
            return resources
        print(f"port {REDIS_PORT} is taken: Redis is on {self._redis.port} for this run")
        shutil.rmtree(copy, ignore_errors=True)
        address = self._redis.address
        addresses = Addresses(configuration_redis=address, state_redis=address)
        return write_resources(resources, copy, addresses=addresses)

    def _revive(self) -> None:
        """Start again what somebody killed to see what the agent makes of it."""
        plane = self._control_plane
        for part in (self._redis, plane.placement, plane.scheduler, self._sidecar):
            if part.running:
                continue
            print(f"{part.name} ended with {part.process.exit_code}; starting it again", flush=True)
            time.sleep(1.0)
            try:
                part.start()
            except PartFailed as failed:
                print(failed, flush=True)

    def _greeting(self) -> str:
        retune = shlex.quote(_shown(Path(sys.executable).with_name("retune")))
        redis_cli = shutil.which("redis-cli") or find_program("redis-cli")
        cli = "redis-cli" if shutil.which("redis-cli") else _shown(Path(redis_cli or "redis-cli"))
        change = 'agent_role "Expert Data Scientist"'
        return (
            f"Dapr and Redis are up (logs in {_shown(self._redis.directory.parent)}). "
            "In a second terminal:\n"
            f"  retune it   {retune} set {change}\n"
            f"     or       {cli} -p {self._redis.port} SET {change}\n"
            f'  ask it      {retune} ask "Who are you?"\n'
            "Ctrl-C here ends everything."
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.run", description=__doc__)
    parser.add_argument("--agent", type=Path, default=CHECKOUT / "agent.py")
    parser.add_argument("--resources", type=Path, default=REDIS_RESOURCES)
    parser.add_argument("--folder", type=Path, default=CHECKOUT / ".retunable" / "run")
    arguments = parser.parse_args()
    with ExitStack() as held:
        if not _alone(arguments.folder, held):
            print(f"`make run-dapr` runs already in {_shown(arguments.folder)}", file=sys.stderr)
            return 1
        try:
            ensure_dapr()
            agent, resources = arguments.agent.resolve(), arguments.resources.resolve()
            return _run(Demo(arguments.folder.resolve(), agent=agent, resources=resources))
        except KeyboardInterrupt:  # while Dapr was being built
            return 130
        except (DaprMissing, PartFailed) as failed:
            print(failed, file=sys.stderr)
            return 1


def _run(demo: Demo) -> int:
    ending = Ending()
    ending.listen()
    try:
        demo.start()
        exit_code = demo.watch(ending)
    finally:
        agent_exit_code = demo.stop()
    if ending.asked and agent_exit_code != 0:
        print(f"the agent did not end in an orderly way ({agent_exit_code})", file=sys.stderr)
        return 1
    return exit_code


def _alone(folder: Path, held: ExitStack) -> bool:
    """Hold the folder's lock until the stack unwinds; False when another process has it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = held.enter_context((folder / "lock").open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _shown(path: Path) -> str:
    """Shorten a path inside the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


if __name__ == "__main__":
    sys.exit(main())
