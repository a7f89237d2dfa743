"""Fakes that users get too: real code, not mocks."""

from retunable.testing.fake_store import FakeStore
from retunable.testing.model_server import (
    ModelServer,
    RecordedRequest,
    Reply,
    answer,
    garbage,
    refusal,
    tool_calls,
)

__all__ = [
    "FakeStore",
    "ModelServer",
    "RecordedRequest",
    "Reply",
    "answer",
    "garbage",
    "refusal",
    "tool_calls",
]
