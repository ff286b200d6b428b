# SPDX-License-Identifier: Apache-2.0
"""Who is connected to a socket, against sockets that the test itself connects."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.host import sockets

CONNECT = "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(flush=True); time.sleep(60)"


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="bb-"))
    yield made
    shutil.rmtree(made)


def test_a_listening_socket_without_clients_has_none(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s"))
        server.listen()
        assert list(sockets.unix_clients(str(folder / "s"))) == []
    assert list(sockets.unix_clients(str(folder / "no-such-socket"))) == []


def test_a_unix_client_is_named_with_its_pid_once_it_is_accepted(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s"))
        server.listen()
        client = subprocess.Popen([sys.executable, "-c", CONNECT, str(folder / "s")], stdout=subprocess.PIPE)
        assert client.stdout is not None
        client.stdout.readline()
        accepted, _ = server.accept()
        (found,) = sockets.unix_clients(str(folder / "s"))
        assert found.pid == client.pid
        assert f"pid {client.pid}" in found.name
        client.kill()
        client.communicate()
        accepted.close()
        assert list(sockets.unix_clients(str(folder / "s"))) == []


@pytest.mark.parametrize(("address", "shown"), [("127.0.0.1", "127.0.0.1:"), ("::1", "[::1]:")])
def test_a_tcp_client_is_named_by_its_address(address: str, shown: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        server = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip(f"needs {address}: this machine has none")
    with server:
        port = server.getsockname()[1]
        assert not sockets.tcp_port_free(address, port)
        assert list(sockets.tcp_clients(port)) == []
        with socket.create_connection((address, port)) as client:
            (found,) = sockets.tcp_clients(port)
            assert found.name == f"{shown}{client.getsockname()[1]}"
    assert sockets.tcp_port_free(address, port)


def test_open_files_are_listed_as_the_kernel_names_them(tmp_path: Path) -> None:
    with (tmp_path / "held").open("w"):
        assert str(tmp_path / "held") in sockets.open_files(os.getpid())
    assert str(tmp_path / "held") not in sockets.open_files(os.getpid())
    assert sockets.open_files(2**22 + 1) == []
    assert sockets.comm(os.getpid())
