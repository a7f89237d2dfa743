"""`python agent.py` as a newcomer starts it, and `retune` in a second terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.ports import free_port
from dev.processes import ChildProcess, Launch, wait_until
from dev.resources import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

AGENT = "config-aware-agent"
START_SECONDS = 20.0
COMMAND_SECONDS = 30.0
# Without a key agent.py names the offline model.
NOT_PASSED_ON = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "RETUNABLE_HTTP_TOKEN")


class AgentProgram:
    """One `python agent.py`, in a folder of its own."""

    def __init__(
        self, folder: Path, *, environment: Mapping[str, str], log: str = "agent.log"
    ) -> None:
        self.folder = folder
        self.log_file = folder / log
        inherited = {k: v for k, v in os.environ.items() if k not in NOT_PASSED_ON}
        self.environment = {
            **inherited,
            "PYTHONPATH": str(CHECKOUT),
            "RETUNABLE_HTTP": f"127.0.0.1:{free_port()}",
            **environment,
        }
        folder.mkdir(parents=True, exist_ok=True)
        self.process = ChildProcess(
            Launch(
                name="agent.py",
                command=[sys.executable, CHECKOUT / "agent.py"],
                log=self.log_file,
                environment=self.environment,
                working_directory=folder,
            )
        )

    def wait_log(self, text: str, *, within_seconds: float = 5.0) -> None:
        """Wait for a text in the log; fail with the end of the log."""
        try:
            wait_until(
                lambda: text in self.log() or not self.process.running,
                what=f"{text!r} in the log",
                within_seconds=within_seconds,
            )
        except TimeoutError as late:
            raise AssertionError(f"{late}; the log ends:\n{self.process.last_words()}") from late
        assert text in self.log(), f"agent.py ended:\n{self.process.last_words()}"

    def wait_serving(self) -> None:
        """Wait until it has said where it answers."""
        self.wait_log(
            f"answers on http://{self.environment['RETUNABLE_HTTP']}", within_seconds=START_SECONDS
        )

    def log(self) -> str:
        """Return everything that it wrote."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def retune(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `retune` in the same folder, as from a second terminal."""
        return subprocess.run(
            [*_retune(), *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def retune_json(self, *words: str) -> dict[str, Any]:
        """Run `retune … --json`, which must work, and return what it says."""
        ended = self.retune(*words, "--json")
        assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
        said: dict[str, Any] = json.loads(ended.stdout)
        return said


def _retune() -> list[str]:
    installed = Path(sys.executable).with_name("retune")
    if installed.exists():
        return [str(installed)]
    return [sys.executable, "-c", "import sys; from retunable.cli import main; sys.exit(main())"]
