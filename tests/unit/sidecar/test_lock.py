"""Which sidecar serves an app id, and what a second one is told."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from retunable.errors import ConfigurationError, SidecarRuns
from retunable.sidecar.files import DataFiles
from retunable.sidecar.lock import AppLock, Holder, read_holder


@pytest.fixture
def files(tmp_path: Path) -> DataFiles:
    return DataFiles(tmp_path / "data", "shop")


def test_a_second_one_is_told_which_process_and_ports_serve_the_app_id(files: DataFiles) -> None:
    lock = AppLock.take(files)
    lock.say(Holder(pid=os.getpid(), grpc_port=50001, http_port=3500))
    with pytest.raises(SidecarRuns, match=f"'shop'.*pid {os.getpid()}.*50001.*3500") as refused:
        AppLock.take(files)
    assert (refused.value.pid, refused.value.grpc_port) == (os.getpid(), 50001)
    lock.release()


def test_another_app_id_has_a_lock_of_its_own(files: DataFiles, tmp_path: Path) -> None:
    first = AppLock.take(files)
    second = AppLock.take(DataFiles(tmp_path / "data", "desk"))
    first.release()
    second.release()


def test_a_released_lock_can_be_taken_and_names_nobody(files: DataFiles) -> None:
    AppLock.take(files).release()
    assert read_holder(files.lock) is None
    AppLock.take(files).release()


def test_a_killed_holder_leaves_the_lock_free(files: DataFiles) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; "
        "from retunable.sidecar.files import DataFiles; "
        "from retunable.sidecar.lock import AppLock; "
        "AppLock.take(DataFiles(Path(sys.argv[1]), 'shop')); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(files.folder)], check=False, timeout=30)
    left = read_holder(files.lock)
    assert left is not None
    lock = AppLock.take(files)
    assert read_holder(files.lock) == Holder(pid=os.getpid())
    lock.release()


def test_a_process_that_was_forked_off_holds_no_lock(files: DataFiles) -> None:
    program = """
import os, sys
from pathlib import Path
from retunable.sidecar.files import DataFiles
from retunable.sidecar.lock import AppLock

files = DataFiles(Path(sys.argv[1]), "shop")
lock = AppLock.take(files)
end, told = os.pipe()
if os.fork() == 0:
    os.close(told)
    os.read(end, 1)
    os._exit(0)
lock.release()
AppLock.take(files)
"""
    subprocess.run([sys.executable, "-c", program, str(files.folder)], check=True, timeout=30)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere SIGXFSZ may end the process")
def test_a_lock_that_cannot_say_who_holds_it_is_not_taken(files: DataFiles) -> None:
    program = """
import resource, sys
from pathlib import Path
from retunable.errors import DataUnusable
from retunable.sidecar.files import DataFiles
from retunable.sidecar.lock import AppLock

files = DataFiles(Path(sys.argv[1]), "shop")
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # the nearest to a full disk
try:
    AppLock.take(files)
except DataUnusable:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    AppLock.take(files)
else:
    sys.exit("it was taken")
"""
    subprocess.run([sys.executable, "-c", program, str(files.folder)], check=True, timeout=30)


def test_the_lock_file_is_for_its_owner_alone(files: DataFiles) -> None:
    lock = AppLock.take(files)
    assert stat.S_IMODE(files.lock.stat().st_mode) == 0o600
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700
    lock.release()


@pytest.mark.parametrize("app_id", ["", ".", "..", "../x", "a/b", ".hidden", "a b", "a" * 129])
def test_an_app_id_that_is_no_folder_name_is_refused(tmp_path: Path, app_id: str) -> None:
    with pytest.raises(ConfigurationError):
        DataFiles(tmp_path, app_id)
