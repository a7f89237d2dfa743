"""Children die with their parent, whatever happens to it, and are paused and ended by their handle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from dev.processes import ChildProcess, Launch, is_alive, wait_until

PARENT = """
import sys, threading, time
from pathlib import Path
from dev.processes import ChildProcess, Launch
launch = Launch(name="sleep", command=["/bin/sleep", "60"], log=Path(sys.argv[1]) / "sleep.log")
print(ChildProcess(launch).pid, flush=True)
time.sleep(60)
"""


def start(directory: Path, *command: str) -> ChildProcess:
    return ChildProcess(Launch(name=command[0], command=command, log=directory / "child.log"))


def start_python(directory: Path, code: str) -> ChildProcess:
    """Start a Python program and wait for its first line."""
    child = start(directory, sys.executable, "-c", code)
    wait_until(lambda: child.last_words() != "", what="the first line", within_seconds=10)
    return child


def test_a_killed_parent_leaves_no_orphan(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert is_alive(child)
        parent.kill()
    wait_until(lambda: not is_alive(child), what="the child to die", within_seconds=5)


def test_a_child_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    children: list[ChildProcess] = []
    thread = threading.Thread(target=lambda: children.append(start(tmp_path, "/bin/sleep", "60")))
    thread.start()
    thread.join()
    [child] = children
    # The death signal of an ended thread would have come by now; there is no event to wait for.
    assert child.wait(within_seconds=0.3) is None
    child.kill()


def test_a_paused_child_stands_still_until_resumed(tmp_path: Path) -> None:
    child = start(tmp_path, "/bin/sleep", "60")
    child.pause()
    assert psutil.Process(child.pid).status() == psutil.STATUS_STOPPED
    child.resume()
    wait_until(
        lambda: psutil.Process(child.pid).status() == psutil.STATUS_SLEEPING,
        what="the child to go on",
        within_seconds=5,
    )
    child.kill()


def test_terminate_ends_a_paused_child_in_its_own_way(tmp_path: Path) -> None:
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(60)"
    child = start_python(tmp_path, code)
    child.pause()
    assert child.terminate() == 7


def test_terminate_kills_a_child_that_does_not_listen(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    child = start_python(tmp_path, code)
    assert child.terminate(within_seconds=0.2) == -signal.SIGKILL


def test_ctrl_c_in_the_terminal_does_not_reach_a_child(tmp_path: Path) -> None:
    child = start(tmp_path, "/bin/sleep", "60")
    assert os.getpgid(child.pid) != os.getpgid(0)
    child.kill()


def test_a_program_that_is_not_there_is_named_in_the_log(tmp_path: Path) -> None:
    child = start(tmp_path, "/no/such/program")
    assert child.wait(within_seconds=10) == 1
    assert "No such file or directory" in child.last_words()


def test_the_child_gets_exactly_the_environment_of_its_launch(tmp_path: Path) -> None:
    log = tmp_path / "env.log"
    child = ChildProcess(
        Launch(name="env", command=["/usr/bin/env"], log=log, environment={"ONLY": "this"})
    )
    assert child.wait(within_seconds=10) == 0
    assert "ONLY=this" in log.read_text().splitlines()
    assert "HOME=" not in log.read_text()


def test_waiting_too_long_names_what_was_waited_for() -> None:
    with pytest.raises(TimeoutError, match=r"waited 0\.05 s for the moon"):
        wait_until(lambda: False, what="the moon", within_seconds=0.05)
