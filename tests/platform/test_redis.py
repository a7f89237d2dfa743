"""The Redis of tests and of `make run-dapr`."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.processes import PartFailed
from dev.redis import NOTIFY_FLAGS, RedisServer


def test_a_killed_redis_comes_back_on_its_port_with_its_data(redis_server: RedisServer) -> None:
    port = redis_server.port
    with redis_server.client() as client:
        client.set("agent_role", "Expert Data Scientist")
    redis_server.kill()
    assert not redis_server.running
    redis_server.start()
    assert redis_server.port == port
    with redis_server.client() as client:
        assert client.get("agent_role") == "Expert Data Scientist"


def test_keyspace_notifications_are_on(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        flags = client.config_get("notify-keyspace-events")["notify-keyspace-events"]
    assert sorted(flags) == sorted(NOTIFY_FLAGS)


def test_notifications_can_be_left_out(tmp_path: Path, redis_program: Path) -> None:
    with RedisServer(tmp_path, notify=False) as server, server.client() as client:
        assert client.config_get("notify-keyspace-events") == {"notify-keyspace-events": ""}


def test_a_redis_with_a_password_counts_as_serving(tmp_path: Path, redis_program: Path) -> None:
    with RedisServer(tmp_path, config_lines=["requirepass hidden"]) as server:
        assert server.answers()


def test_a_paused_redis_does_not_answer_until_resumed(redis_server: RedisServer) -> None:
    redis_server.pause()
    assert not redis_server.answers()
    redis_server.resume()
    assert redis_server.answers()


def test_a_failed_start_shows_the_end_of_the_log(tmp_path: Path, redis_program: Path) -> None:
    server = RedisServer(tmp_path, config_lines=["no-such-setting 1"])
    with pytest.raises(PartFailed, match="no-such-setting"):
        server.start()


def test_starting_a_running_part_is_refused(redis_server: RedisServer) -> None:
    with pytest.raises(PartFailed, match="redis runs already"):
        redis_server.start()
