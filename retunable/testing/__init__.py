"""What a user's tests need: an embedded sidecar, and fakes that are real code, not mocks."""

from retunable.testing.embedded_sidecar import EmbeddedSidecar
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
    "EmbeddedSidecar",
    "FakeStore",
    "ModelServer",
    "RecordedRequest",
    "Reply",
    "answer",
    "garbage",
    "refusal",
    "tool_calls",
]
