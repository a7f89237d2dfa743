"""What a published text becomes; tests/integration/sidecar compares it with daprd's."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from retunable.sidecar.cloud_event import CLOUD_EVENTS, CloudEvent, NoCloudEvent, Published, wrap


def wrapped(
    data: bytes, content_type: str = "", metadata: Mapping[str, str] | None = None
) -> CloudEvent:
    published = Published(
        pubsub="pubsub",
        topic="orders",
        data=data,
        content_type=content_type,
        metadata=metadata or {},
    )
    return wrap(published, app_id="shop", new_id="new", now=0.0)


def test_a_plain_text_gets_the_attributes_of_dapr() -> None:
    assert wrapped(b"x") == CloudEvent(
        {
            "id": "new",
            "source": "shop",
            "type": "com.dapr.event.sent",
            "specversion": "1.0",
            "datacontenttype": "text/plain",
            "time": "1970-01-01T00:00:00Z",
            "topic": "orders",
            "pubsubname": "pubsub",
            "traceid": "",
            "traceparent": "",
            "tracestate": "",
        },
        b"x",
    )


def test_a_publisher_may_name_id_source_and_type() -> None:
    names = {"cloudevent.id": "i", "cloudevent.source": "s", "cloudevent.type": "t"}
    attributes = wrapped(b"x", metadata=names).attributes
    assert [attributes[name] for name in ("id", "source", "type")] == ["i", "s", "t"]


def test_a_cloud_event_is_kept_but_for_its_topic() -> None:
    given = {"id": "i", "type": "t", "topic": "elsewhere", "datacontenttype": "application/json"}
    event = wrapped(json.dumps(given | {"data": {"q": 1}, "ext": 2}).encode(), CLOUD_EVENTS)
    assert event.data == b'{"q":1}'
    assert event.attributes["topic"] == "orders"
    assert (event.attributes["id"], event.attributes["ext"]) == ("i", "2")
    assert "data" not in event.attributes


def test_data_in_base64_is_decoded() -> None:
    assert wrapped(b'{"id": "i", "data_base64": "/wA="}', CLOUD_EVENTS).data == b"\xff\x00"


@pytest.mark.parametrize("data", [b"", b"[]", b"not json", b'{"data_base64": "%"}'])
def test_what_only_says_that_it_is_a_cloud_event_is_refused(data: bytes) -> None:
    with pytest.raises(NoCloudEvent):
        wrapped(data, CLOUD_EVENTS)


def test_a_time_to_live_is_a_moment() -> None:
    assert wrapped(b"x", metadata={"ttlInSeconds": "10"}).expires_at == 10.0
    assert wrapped(b"x", metadata={"ttlInSeconds": "soon"}).expires_at is None


def test_a_raw_payload_is_bytes_and_nothing_else() -> None:
    event = wrapped(b"{}", CLOUD_EVENTS, {"rawPayload": "true"})
    assert (event.data, event.attributes["datacontenttype"]) == (b"{}", "application/octet-stream")
