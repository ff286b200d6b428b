# SPDX-License-Identifier: Apache-2.0
"""A token is not told to whoever took the port of a service that is down."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.cli.client import Client, Unreachable
from breezeblock.cli.credentials import Credentials
from breezeblock.cli.exits import Ended
from breezeblock.cli.listener import require_owner
from tests.cli.fake import Fake

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def refusal(url: str, uids: set[int], **where: Path) -> Ended | None:
    try:
        require_owner(url, uids, **where)
    except Ended as ended:
        return ended
    return None


def test_our_own_service_is_believed(port: int) -> None:
    assert refusal(f"http://127.0.0.1:{port}", {os.geteuid()}) is None


def test_another_users_is_not(port: int) -> None:
    with pytest.raises(Ended, match="another user's program listens") as refused:
        require_owner(f"http://127.0.0.1:{port}", {os.geteuid() + 1})
    assert refused.value.had == f"uid {os.geteuid()}"


def test_a_connection_is_no_listener_and_ipv6_counts(tmp_path: Path) -> None:
    (tmp_path / "tcp").write_text(
        HEAD
        + "   0: 0100007F:2248 0100007F:0001 01 00000000:00000000 00:00000000 00000000  1000        0 1\n"
    )
    assert refusal("http://127.0.0.1:8776", {0}, tables=tmp_path) is None
    (tmp_path / "tcp6").write_text(
        HEAD
        + f"   0: {'0' * 32}:2248 {'0' * 32}:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1\n"
    )
    with pytest.raises(Ended):
        require_owner("http://[::1]:8776", {0}, tables=tmp_path)


def test_nobody_and_other_hosts_are_for_the_connection_to_find_out(tmp_path: Path) -> None:
    assert refusal("http://127.0.0.1:8776", {0}, tables=tmp_path) is None
    assert refusal("https://storage.example:8776", {0}) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_the_command_sends_nothing_to_a_stranger_at_the_port(data: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    thief = subprocess.Popen(
        ["setpriv", "--reuid", "65534", "--clear-groups", sys.executable, "-c", f"""
import socket
s = socket.create_server(("127.0.0.1", {port}))
print("up", flush=True)
input()
s.settimeout(0)
try:
    s.accept()
    print("came", flush=True)
except BlockingIOError:
    print("nobody came", flush=True)
"""],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
    )  # fmt: skip
    assert thief.stdin is not None
    assert thief.stdout is not None
    try:
        if thief.stdout.readline() != "up\n":
            pytest.skip("this interpreter lies where the other user cannot reach it")
        (data / "admin.json").write_text(
            f'{{"endpoint": "http://127.0.0.1:{port}", "token": "t", "project_id": "p"}}'
        )
        ran = subprocess.run(
            [sys.executable, "-m", "breezeblock.cli", "volume", "list"],
            env={**os.environ, "BREEZEBLOCK_DATA": str(data)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert ran.returncode == 3
        assert "uid 65534" in ran.stderr
        thief.stdin.write("look\n")
        thief.stdin.close()
        assert thief.stdout.readline() == "nobody came\n"
    finally:
        thief.kill()
        thief.wait()
        thief.stdout.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "admin.json").touch(mode=0o600)
    return tmp_path


def test_a_port_taken_during_a_wait_is_told_nothing(fake: Fake) -> None:
    stranger = frozenset({os.geteuid() + 1})
    with Client(Credentials(fake.endpoint, "a-token", "", "a file", stranger)) as client:
        with pytest.raises(Ended, match="another user's program listens"):
            client.get("/volumes")
    assert fake.asked == []


def test_who_stops_listening_once_connected_is_told_nothing() -> None:
    heard: list[bytes] = []

    def take(server: socket.socket) -> None:
        taken, _ = server.accept()
        heard.append(taken.recv(4096))
        taken.close()

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        taker = threading.Thread(target=take, args=(server,))
        taker.start()
        nobody = "breezeblock.cli.client.require_owner"
        with (
            pytest.MonkeyPatch.context() as patch,
            Client(Credentials(endpoint, "a-token", "", "a file", frozenset({os.geteuid()}))) as client,
        ):
            patch.setattr(nobody, lambda *asked: False)
            with pytest.raises(Unreachable):
                client.get("/volumes")
        taker.join(10)
    assert heard == [b""]
