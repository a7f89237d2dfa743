"""A configuration store in which version 1 is active, and programs on it that do not allow everything."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from retunable.config.agent_config import AgentConfig
from retunable.config.constraints import Constraints
from retunable.config.items import Item
from retunable.release.opening import open_writer
from retunable.release.store_url import StoreURL
from retunable.serve.address import AGENTS_FOLDER, AgentRecord, announced
from tests.integration.cli.live_agent import FRESH, FollowingAgent, a_declaration, served

AGENT: Final = "config-aware-agent"
ALLOWED: Final = Constraints(
    registered_tools={"search"},
    models={"openai": {"offline"}, "azure": {"newer"}},
    max_iterations=50,
    guardrail_reasons=lambda settings: [
        f"names {name!r}, which this program has not registered" for name in settings
    ],
)
DRIPS: Final = 200


@dataclass
class CheckedStore:
    """The store, and a program on it where a test wants one to run."""

    url: str
    folder: Path

    def __post_init__(self) -> None:
        self.writer = open_writer(StoreURL.parse(self.url))
        self.declaration = replace(a_declaration(AGENT), constraints=ALLOWED)

    @property
    def document(self) -> str:
        key = self.declaration.document
        item = self.writer.read([key])[key]
        assert isinstance(item, Item)
        return item.value

    @property
    def envelope(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.document)
        return found

    @property
    def flags(self) -> dict[str, Any]:
        return {flag["name"]: flag for flag in self.envelope["flags"]}

    def running(self, constraints: Constraints = ALLOWED) -> AbstractContextManager[str]:
        """Serve a program that takes each write at once."""
        declaration = replace(self.declaration, constraints=constraints)
        agent = FollowingAgent(declaration=declaration, store=self.writer, status=FRESH)
        return served(agent, self.folder)

    @contextmanager
    def also_running(self, constraints: Constraints) -> Iterator[None]:
        """Serve a process of another program beside the one that runs."""
        agent = FollowingAgent(
            declaration=replace(self.declaration, constraints=constraints),
            store=self.writer,
            status=FRESH,
        )
        elsewhere = self.folder / "elsewhere"
        with served(agent, elsewhere):
            # A record is named after agent and process, and this process runs them all.
            (record,) = (elsewhere / AGENTS_FOLDER).iterdir()
            (self.folder / AGENTS_FOLDER / "other.json").write_bytes(record.read_bytes())
            yield
            (self.folder / AGENTS_FOLDER / "other.json").unlink()

    def announced_at(self, url: str) -> AbstractContextManager[None]:
        """Let the command line find a process of the program that listens at a URL."""
        record = AgentRecord.of_this_process(self.declaration, url=url)
        return announced(record, self.folder / AGENTS_FOLDER)


def save(retune: Callable[..., Any], **values: Any) -> None:
    """Save a version that no program was asked about."""
    config = AgentConfig(model="offline", tools=("search",)).to_json() | values
    Path("version.json").write_text(json.dumps(config))
    assert retune("save", AGENT, "version.json", "-m", "x", "--unchecked").code == 0


@contextmanager
def dripping() -> Iterator[str]:
    """Listen at a URL, agree to anything, and take far too long: a byte now and then."""
    over = threading.Event()

    def drip() -> None:
        while not over.is_set():
            with suppress(OSError):
                caller, _ = listening.accept()
                with caller:
                    caller.recv(1_000_000)
                    caller.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                    for _ in range(DRIPS):
                        if over.wait(0.05):
                            return
                        caller.sendall(b" ")
                    caller.sendall(b'{"faults": []}')

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            thread.join(10)
