# SPDX-License-Identifier: Apache-2.0
"""The network door of an NBD export: open only while a remote host is admitted, closed to strangers, and never shut under a client."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.host import processes
from breezeblock.host.records import load
from breezeblock.host.storage_daemon import Daemon
from breezeblock.model import errors
from breezeblock.model.observation import Found
from breezeblock.targets.nbd import NbdTarget
from breezeblock.targets.nbd_records import NbdExportRecord
from breezeblock.targets.relay import Listen
from tests.lab import certificates
from tests.lab.data_path import HERE, MIB, Ground, as_given, identity, run

pytestmark = [
    pytest.mark.lab,
    pytest.mark.requires("qemu-storage-daemon", "qemu-img", "qemu-io", "nbdinfo", "openssl", "root"),
]

THERE = {"host": "compute-7", "ip": "127.0.0.1"}


def free_ports(count: int) -> tuple[int, int]:
    """A range in which every port was free a moment ago."""
    for first in range(21000 + os.getpid() % 5000, 32000, 10):
        with contextlib.ExitStack() as probes:
            try:
                for port in range(first, first + count):
                    probes.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first, first + count - 1
    raise AssertionError("no free ports")


def target(ground: Ground, *, ports: tuple[int, int], secure: Path | None = None) -> NbdTarget:
    folder = str(secure) if secure else None
    hostname = certificates.SERVER_NAME if secure else None
    return NbdTarget(
        ground.run, listen=Listen(address="127.0.0.1", ports=ports, certificates=folder, hostname=hostname)
    )


def relay(ground: Ground) -> Daemon | None:
    record = load(ground.run / "exports" / "volume-v1" / "export.json", NbdExportRecord)
    assert record is not None
    return record.relay


@contextlib.contextmanager
def client(uri: str) -> Iterator[subprocess.Popen[str]]:
    words = ["qemu-io", "-f", "raw", uri]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as opened:
        assert opened.stdin is not None
        assert opened.stdout is not None
        opened.stdin.write("length\n")
        opened.stdin.flush()
        opened.stdout.readline()
        try:
            yield opened
        finally:
            opened.kill()
            opened.communicate()


def test_the_door_opens_for_the_first_remote_host_and_closes_after_the_last(ground: Ground) -> None:
    nbd = target(ground, ports=free_ports(3))
    assert nbd.capabilities.remote
    export = ground.exported(nbd, ground.image("a", "qcow2"))
    nbd.admit(export, HERE, ground.ctx)
    assert relay(ground) is None
    info = nbd.admit(export, THERE, ground.ctx)
    assert nbd.admit(export, THERE, ground.ctx) == info
    assert run(["nbdinfo", "--size", info.data["uri"]]).strip() == str(64 * MIB)
    run(["qemu-io", "-f", "raw", "-c", "write -P 9 0 1M", "-c", "flush", info.data["uri"]])
    run(["qemu-io", "-r", "-f", "raw", "-c", "read -P 9 0 1M", export.provider["uri"]])
    assert nbd.dismiss(export, HERE, ground.ctx) is True
    assert nbd.dismiss(export, THERE, ground.ctx) is False
    assert relay(ground) is None
    with pytest.raises(OSError):
        socket.create_connection(
            ("127.0.0.1", int(info.data["uri"].split(":")[2].split("/")[0])), timeout=1
        ).close()
    nbd.unexport(export, ground.ctx)


def test_a_connected_remote_host_is_named_and_not_cut_off(ground: Ground) -> None:
    nbd = target(ground, ports=free_ports(1))
    export = ground.exported(nbd, ground.image("a", "raw"))
    uri = nbd.admit(export, THERE, ground.ctx).data["uri"]
    with client(uri):
        (session,) = nbd.sessions(export)
        assert session.client.startswith("127.0.0.1:")
        for refused in (
            lambda: nbd.dismiss(export, THERE, ground.ctx),
            lambda: nbd.unexport(export, ground.ctx),
        ):
            with pytest.raises(errors.Busy) as busy:
                refused()
            assert session.client in str(busy.value)
    assert nbd.dismiss(export, THERE, ground.ctx) is False
    nbd.unexport(export, ground.ctx)


def test_a_client_of_a_dead_daemon_sees_an_error_and_never_its_successor(ground: Ground) -> None:
    """What the dead one had acknowledged and not flushed is gone: going on as if it were there would be silent corruption."""
    nbd, image = target(ground, ports=free_ports(1)), ground.image("a", "qcow2")
    export = ground.exported(nbd, image)
    info = nbd.admit(export, THERE, ground.ctx)
    with client(info.data["uri"]) as held:
        record = load(ground.run / "exports" / "volume-v1" / "export.json", NbdExportRecord)
        assert record is not None
        assert record.daemon.process is not None
        os.kill(record.daemon.process.pid, signal.SIGKILL)
        assert processes.wait(record.daemon.process, 5.0)
        assert ground.exported(nbd, image).name == export.name
        said, _ = held.communicate("write -P 5 0 1M\nflush\nquit\n", timeout=30)
        assert "wrote 1048576/1048576" not in said
    anew = nbd.admit(export, THERE, ground.ctx).data["uri"]
    assert anew != info.data["uri"]
    assert anew.split("/")[2] == info.data["uri"].split("/")[2]  # the same port
    assert run(["nbdinfo", "--size", anew]).strip() == str(64 * MIB)
    nbd.dismiss(export, None, ground.ctx)
    nbd.unexport(export, ground.ctx)


def test_a_dead_relay_comes_back_at_its_own_port(ground: Ground) -> None:
    nbd = target(ground, ports=free_ports(3))
    export = ground.exported(nbd, ground.image("a", "raw"))
    info = nbd.admit(export, THERE, ground.ctx)
    dead = relay(ground)
    assert dead is not None
    assert dead.process is not None
    processes.kill(dead.process)
    assert nbd.admit(export, THERE, ground.ctx) == info
    assert run(["nbdinfo", "--size", info.data["uri"]]).strip() == str(64 * MIB)
    nbd.unexport(export, ground.ctx)


def test_ports_run_out_with_their_number(ground: Ground) -> None:
    ports = free_ports(1)
    nbd = target(ground, ports=ports)
    first, second = (ground.exported(nbd, ground.image(name, "raw"), name) for name in ("v1", "v2"))
    nbd.admit(first, THERE, ground.ctx)
    with pytest.raises(errors.NoSpace) as full:
        nbd.admit(second, THERE, ground.ctx)
    assert f"{ports[0]} to {ports[1]}" in str(full.value)
    nbd.unexport(first, ground.ctx)
    nbd.admit(second, THERE, ground.ctx)
    nbd.unexport(second, ground.ctx)


def test_only_clients_with_a_certificate_come_in(ground: Ground) -> None:
    server, ours = certificates.make(ground.folder / "tls")
    _, strangers = certificates.make(ground.folder / "other")
    nbd = target(ground, ports=free_ports(1), secure=server)
    export = ground.exported(nbd, ground.image("a", "qcow2"))
    info = nbd.admit(export, THERE, ground.ctx)
    uri = info.data["uri"]
    assert uri.startswith("nbds://")
    assert (info.data["tls"], info.data["tls_hostname"]) == (True, certificates.SERVER_NAME)
    good = f"{uri}?tls-certificates={ours}"
    assert run(["nbdinfo", "--size", good]).strip() == str(64 * MIB)
    for wrong in (uri.replace("nbds", "nbd"), f"{uri}?tls-certificates={strangers}"):
        refused = subprocess.run(["nbdinfo", "--size", wrong], capture_output=True, text=True, timeout=30)
        assert refused.returncode != 0
    nbd.dismiss(export, THERE, ground.ctx)
    nbd.unexport(export, ground.ctx)


@pytest.mark.requires("nbdfuse", "loop", "fuse")
def test_a_host_connects_over_tls_and_not_without_certificates(ground: Ground) -> None:
    from breezeblock.brick.nbd import NbdConnector

    server, ours = certificates.make(ground.folder / "tls")
    nbd = target(ground, ports=free_ports(1), secure=server)
    export = ground.exported(nbd, ground.image("a", "qcow2"))
    info = as_given(nbd.admit(export, THERE, ground.ctx))
    with pytest.raises(errors.Failed, match="certificate"):
        NbdConnector(ground.state).connect_volume(info, identity(export))
    connector = NbdConnector(ground.state, certificates=ours)
    device = connector.connect_volume(info, identity(export))
    with Path(device.path).open("r+b") as block:
        block.write(b"over tls" * 64)
    connector.disconnect_volume(info, device)
    run(["qemu-io", "-r", "-f", "raw", "-c", "read -P 0x6f 0 1", export.provider["uri"]])
    assert connector.observe(info).found is Found.NOT_DONE
    nbd.dismiss(export, THERE, ground.ctx)
    nbd.unexport(export, ground.ctx)


@pytest.mark.requires("nbdfuse", "loop", "fuse")
def test_a_connected_host_waits_while_the_relay_is_away(ground: Ground) -> None:
    """The network's troubles are not the disk's: a write waits, and is there when the relay is back."""
    from breezeblock.brick.nbd import NbdConnector

    nbd = target(ground, ports=free_ports(1))
    export = ground.exported(nbd, ground.image("a", "qcow2"))
    info = as_given(nbd.admit(export, THERE, ground.ctx))
    connector = NbdConnector(ground.state)
    device = connector.connect_volume(info, identity(export))
    dead = relay(ground)
    assert dead is not None
    assert dead.process is not None
    processes.kill(dead.process)
    writing = subprocess.Popen(
        ["dd", "if=/dev/urandom", f"of={device.path}", "bs=1M", "count=8", "conv=fsync"],
        stderr=subprocess.PIPE,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        writing.wait(timeout=1)
    assert as_given(nbd.admit(export, THERE, ground.ctx)) == info
    _, said = writing.communicate(timeout=30)
    assert writing.returncode == 0, said
    connector.disconnect_volume(info, device)
    nbd.dismiss(export, THERE, ground.ctx)
    nbd.unexport(export, ground.ctx)
