# SPDX-License-Identifier: Apache-2.0
"""The storage daemon's command line and its FUSE door: the only one through which a volume grows under its user, and why it wants a loop
device with direct I/O off."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from breezeblock.host import live_image, loop, mounts, processes, storage_daemon
from breezeblock.host.backing_chain import Layer
from breezeblock.host.storage_daemon import Daemon, FuseDoor, TcpDoor, UnixDoor
from breezeblock.model import errors

MIB = 1 << 20


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="bb-"))
    yield made
    shutil.rmtree(made)


def daemon(folder: Path, door: storage_daemon.Door) -> Daemon:
    return Daemon(token=processes.new_token(), folder=str(folder), monitor=str(folder / "monitor"), door=door)


def test_every_node_says_its_format_and_the_token_is_in_the_command_line(tmp_path: Path) -> None:
    layers = [Layer("/a/top.qcow2", "qcow2"), Layer("/a/base.raw", "raw")]
    node = storage_daemon.image_node(layers, writable=True, direct=True)
    assert (node["driver"], node["read-only"]) == ("qcow2", False)
    assert (node["backing"]["driver"], node["backing"]["read-only"]) == ("raw", True)
    assert storage_daemon.image_node(layers[:1], writable=True, direct=False)["backing"] is None
    assert node["file"]["cache"] == {"direct": True}
    assert all(len(name) <= 31 for name in (node["node-name"], node["file"]["node-name"]))
    one = daemon(tmp_path, UnixDoor(path="/run/a,b", name="volume-1", description="breezeblock:1"))
    argv = storage_daemon.arguments(one, node)
    assert any(one.token in word for word in argv)
    assert msgspec.json.decode(argv[argv.index("--blockdev") + 1]) == node
    assert "addr.path=/run/a,,b" in " ".join(argv)  # a comma in a path is not an option


def test_certificates_are_a_folder_on_the_command_line_and_no_secret(tmp_path: Path) -> None:
    door = TcpDoor(host="::1", port=10809, name="v", description="d", certificates="/etc/tls")
    argv = " ".join(storage_daemon.arguments(daemon(tmp_path, door), {"node-name": "relay"}))
    assert "tls-creds-x509,id=tls,dir=/etc/tls,endpoint=server,verify-peer=on" in argv
    assert "tls-creds=tls" in argv


def test_a_short_folder_holds_its_own_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert storage_daemon.socket_folder(Path("/srv/run")) == Path("/srv/run")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4711)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(errors.Failed, match="not private"):
        storage_daemon.socket_folder(Path("/" + "d" * 120))


@pytest.mark.lab
@pytest.mark.requires("qemu-storage-daemon", "root")
def test_a_daemon_that_cannot_start_says_why_and_leaves_nothing(folder: Path) -> None:
    node = storage_daemon.image_node([Layer(str(folder / "absent"), "raw")], writable=True, direct=False)
    one = daemon(folder, UnixDoor(path=str(folder / "nbd"), name="v", description="d"))
    with pytest.raises(errors.NotThere, match="absent"):
        storage_daemon.start(one, node)
    assert list(processes.find(one.token)) == []
    storage_daemon.stop(one)


@pytest.mark.lab
@pytest.mark.requires("qemu-storage-daemon", "qemu-img", "root", "loop", "fuse", "mkfs.xfs")
def test_a_volume_behind_fuse_grows_under_a_mounted_file_system(folder: Path) -> None:
    image, file = folder / "disk.qcow2", folder / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "400M"], check=True, timeout=30)
    file.touch()
    one = daemon(folder, FuseDoor(path=str(file)))
    node = storage_daemon.image_node([Layer(str(image), "qcow2")], writable=True, direct=False)
    running = storage_daemon.start(one, node)
    try:
        assert mounts.is_fuse(file)
        with pytest.raises(ValueError, match="corrupts"):
            loop.attach(file, direct=True)
        made = loop.attach(file)
        assert not loop.direct_io(made)
        mounts.make_filesystem(made.device, "xfs")
        mounts.mount(made.device, folder / "m")
        kept = os.urandom(MIB)
        (folder / "m" / "kept").write_bytes(kept)
        live_image.resize(running, 800 * MIB)
        for _ in processes.ticks(5.0, most=0.2):  # the kernel believes the old size for a second
            if file.stat().st_size == 800 * MIB and loop.grow(made) == 800 * MIB:
                break
        assert loop.size(made) == 800 * MIB == live_image.virtual_size(running)
        subprocess.run(["xfs_growfs", folder / "m"], check=True, timeout=30, stdout=subprocess.DEVNULL)
        assert os.statvfs(folder / "m").f_blocks * os.statvfs(folder / "m").f_frsize > 500 * MIB
        assert (folder / "m" / "kept").read_bytes() == kept
        mounts.unmount(folder / "m")
        loop.detach(made)
    finally:
        storage_daemon.stop(running)
        mounts.abandon(file)
    assert list(processes.find(one.token)) == []
