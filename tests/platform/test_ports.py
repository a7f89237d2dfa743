"""Ports are handed out so that no two parts, tests or workers meet on one."""

from __future__ import annotations

import socket
import subprocess
import sys

from dev.ports import BLOCK_PORTS, free_port, is_free


def test_the_same_port_is_not_handed_out_twice_in_a_row() -> None:
    assert len({free_port() for _ in range(50)}) == 50


def test_a_port_that_somebody_listens_on_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_a_port_is_free_again_right_after_its_server_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            connection, _ = server.accept()
            connection.close()
            assert client.recv(1) == b""
    assert is_free(port)


def test_another_process_gets_its_ports_from_another_block() -> None:
    ours = free_port() // BLOCK_PORTS
    code = "from dev.ports import free_port; print(free_port())"
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(other.stdout) // BLOCK_PORTS != ours
