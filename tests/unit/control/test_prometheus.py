"""What Prometheus' answers mean, from a server that speaks as it does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from retunable.control.rollouts.prometheus import Ringing, ask
from retunable.rollout.policy_document import Alarm


@contextmanager
def serving(body: str, status: int = 200) -> Iterator[Alarm]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Alarm(url=f"http://127.0.0.1:{server.server_port}", query="q", above=0.5, then="hold")
    finally:
        server.shutdown()
        server.server_close()


def vector(*values: str) -> str:
    result = [{"metric": {}, "value": [1.0, value]} for value in values]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


SCALAR = '{"status": "success", "data": {"resultType": "scalar", "result": [1.0, "0.7"]}}'


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (vector("0.1", "0.6"), 200, Ringing.FIRES),
        (vector("0.5"), 200, Ringing.SILENT),
        (vector(), 200, Ringing.SILENT),
        (SCALAR, 200, Ringing.FIRES),
        ('{"status": "error", "error": "bad query"}', 200, Ringing.UNKNOWN),
        ("{}", 200, Ringing.UNKNOWN),
        ("no json", 200, Ringing.UNKNOWN),
        (vector("0.6"), 503, Ringing.UNKNOWN),
    ],
)
def test_an_answer(body: str, status: int, says: Ringing) -> None:
    with serving(body, status) as alarm:
        assert ask(alarm) is says


def test_a_server_that_is_away_is_not_silence() -> None:
    alarm = Alarm(url="http://127.0.0.1:1", query="q", above=0, then="hold")
    assert ask(alarm) is Ringing.UNKNOWN
