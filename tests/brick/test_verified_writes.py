# SPDX-License-Identifier: Apache-2.0
"""Concurrent writes through every path that makes a device of a volume, verified by fio's checksums: plain, while the volume is switched
to overlays, and while the process that connected it is killed. The bytes are read after the volume was disconnected and connected again, so
that no page cache can answer for the image. This is the test for the corruption trap (see host/loop.py): a path that
fails it must not exist."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from breezeblock.brick.connector import Device
from breezeblock.model.observation import Found
from breezeblock.targets.target import Export, Target
from tests.lab.data_path import HERE, MIB, Ground, as_given, identity, run

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.requires(
        "fio", "qemu-storage-daemon", "qemu-img", "nbdfuse", "nbdinfo", "root", "loop", "fuse"
    ),
]

SIZE = 512 * MIB
JOBS = 4

#: name -> fio options. Each of the jobs has a quarter of the device to itself; requests of one job overlap in time.
PATTERNS = {
    "sequential 1M libaio": ["--ioengine=libaio", "--rw=write", "--bs=1M", "--iodepth=8", "--size=96M"],
    "random 4k libaio": ["--ioengine=libaio", "--rw=randwrite", "--bs=4k", "--iodepth=32", "--size=8M"],
    "mixed 16k psync": ["--ioengine=psync", "--rw=randwrite", "--bs=16k", "--size=24M"],
}


class Way:
    """A volume, connected by one of the paths; `again` takes it through a disconnect."""

    def __init__(self, ground: Ground, kind: str, format: str) -> None:
        self.ground, self.format = ground, format
        self.target: Target = ground.local() if kind == "local" else ground.nbd()
        self.connector = ground.local_connector() if kind == "local" else ground.nbd_connector()
        self.image = ground.image("volume", format, SIZE)

    def begin(self) -> None:
        self.export: Export = ground_export(self)
        self.info = as_given(self.target.admit(self.export, HERE, self.ground.ctx))
        self.connect()

    def connect(self) -> None:
        self.device: Device = self.connector.connect_volume(self.info, identity(self.export))
        assert Path(f"/sys/block/{Path(self.device.path).name}/loop/dio").read_text().strip() == "0"

    def again(self) -> None:
        self.connector.disconnect_volume(self.info, None)
        self.connect()

    def end(self) -> None:
        self.connector.disconnect_volume(self.info, None)
        self.target.dismiss(self.export, HERE, self.ground.ctx)
        self.target.unexport(self.export, self.ground.ctx)


def ground_export(way: Way) -> Export:
    return way.ground.exported(way.target, way.image, size=SIZE)


def fio(device: str, options: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["fio", "--name=verified", f"--filename={device}", "--direct=1", f"--numjobs={JOBS}", f"--offset_increment={SIZE // JOBS}",
         "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--group_reporting", "--output-format=json", *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def ended(running: subprocess.Popen[str], did: str) -> float:
    """Asserts success; MiB/s of what it did ("read" or "write")."""
    said, _ = running.communicate(timeout=120)
    assert running.returncode == 0, said
    report = json.loads(said[said.index("{\n") :])["jobs"][0]
    assert report["error"] == 0
    assert report[did]["io_bytes"] > 0
    return float(report[did]["bw_bytes"]) / MIB


def reading(options: list[str]) -> list[str]:
    """The same pattern, to be read and checked."""
    return [option for option in options if not option.startswith(("--rate", "--do_verify"))] + [
        "--verify_only"
    ]


def verify(way: Way, running: subprocess.Popen[str], options: list[str]) -> float:
    """Asserts that after a new connection every byte read is the byte written; MiB/s of the writes."""
    speed = ended(running, "write")
    way.again()
    assert ended(fio(way.device.path, reading(options)), "read") > 0
    return speed


@pytest.fixture(params=["local raw", "nbd raw", "nbd qcow2"])
def way(request: pytest.FixtureRequest, ground: Ground) -> Iterator[Way]:
    made = Way(ground, *request.param.split())
    made.begin()
    yield made
    made.end()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_byte_read_is_the_byte_written(way: Way, pattern: str) -> None:
    options = [*PATTERNS[pattern], "--do_verify=0", "--end_fsync=1"]
    speed = verify(way, fio(way.device.path, options), options)
    print(f"{way.device.how} {way.format}, {pattern}: {speed:.0f} MiB/s")
    assert speed > 0


def test_a_wrong_byte_would_be_seen(ground: Ground) -> None:
    """The verification itself: one byte changed behind its back is found."""
    way = Way(ground, "local", "raw")
    way.begin()
    options = [*PATTERNS["mixed 16k psync"], "--do_verify=0"]
    ended(fio(way.device.path, options), "write")
    with Path(way.device.path).open("r+b") as block:
        block.seek(3 * MIB + 100)
        byte = block.read(1)
        block.seek(3 * MIB + 100)
        block.write(bytes([byte[0] ^ 1]))
    with pytest.raises(AssertionError, match="verify"):
        ended(fio(way.device.path, reading(options)), "read")
    way.end()


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_writes_go_on_through_live_snapshots(ground: Ground, format: str) -> None:
    way = Way(ground, "nbd", format)
    way.begin()
    live = way.target.live(way.export)
    assert live is not None
    options = [
        "--ioengine=libaio",
        "--rw=randwrite",
        "--bs=16k",
        "--iodepth=16",
        "--size=48M",
        "--rate=12M",
        "--do_verify=0",
    ]
    running = fio(way.device.path, options)
    switched = []
    for number in (1, 2, 3, 4):
        time.sleep(0.7)
        overlay = ground.image(f"l{number}", "qcow2", on=Path(live.active()))
        live.snapshot(overlay.path)
        assert running.poll() is None, "the writes must go on while the layers change"
        switched.append(overlay.path)
    live.fold(switched[0])  # and while layers are folded
    verify(way, running, options)
    assert live.active() == switched[-1]
    assert Path(switched[-1]).stat().st_blocks * 512 > MIB  # the active layer did take writes
    way.end()


SERVICE = """
import sys, time
from pathlib import Path
import msgspec
from breezeblock.brick import factory
from breezeblock.brick.connector import Identity
from breezeblock.model.call import Context
from breezeblock.model.reach import FileReach
from breezeblock.targets.local import LocalTarget
from breezeblock.targets.nbd import NbdTarget
from breezeblock.targets.target import Mode
kind, run, state, path, format, size, host = sys.argv[1:]
target = {"local": LocalTarget, "nbd": NbdTarget}[kind](Path(run))
export = target.export(FileReach(path, format), "v1", int(size), Mode.RW, Context())
info = target.admit(export, {"host": host}, Context())
given = {"driver_volume_type": info.driver_volume_type, "data": dict(info.data)}
device = factory.connector_for(given, factory.connectors(Path(state))).connect_volume(given, Identity("v1", int(size)))
print(msgspec.json.encode([given, device]).decode(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["local raw", "nbd qcow2"])
def test_killing_the_service_costs_no_write(ground: Ground, kind: str) -> None:
    """The whole process group of the service dies, as under a service manager that kills it hard."""
    way = Way(ground, *kind.split())
    words = [
        sys.executable,
        "-c",
        SERVICE,
        kind.split()[0],
        str(ground.run),
        str(ground.state),
        way.image.path,
        way.format,
    ]
    service = subprocess.Popen(
        [*words, str(SIZE), HERE["host"]], stdout=subprocess.PIPE, start_new_session=True
    )
    assert service.stdout is not None
    way.info, way.device = msgspec.json.decode(
        service.stdout.readline(), type=tuple[dict[str, object], Device]
    )
    options = [
        "--ioengine=libaio",
        "--rw=randwrite",
        "--bs=16k",
        "--iodepth=16",
        "--size=32M",
        "--rate=16M",
        "--do_verify=0",
    ]
    running = fio(way.device.path, options)
    time.sleep(0.7)
    os.killpg(service.pid, signal.SIGKILL)
    service.communicate()
    assert running.poll() is None
    way.target.start()
    seen = way.target.find(way.target.name("v1"))  # the successor adopts, while the writes go on
    assert seen.found is Found.DONE
    there = way.connector.observe(way.info)
    assert there.found is Found.DONE
    assert there.value is not None
    assert there.value.path == way.device.path
    way.export = ground_export(way)
    assert way.export == seen.value
    verify(way, running, options)
    way.end()


def test_the_disk_is_the_same_after_a_file_system_lived_on_it(ground: Ground) -> None:
    """A file system, files, a discard of what was deleted, and a check by its own tool."""
    from breezeblock.host import mounts

    way = Way(ground, "nbd", "qcow2")
    way.begin()
    point, image = ground.folder / "mounted", Path(way.image.path)
    mounts.make_filesystem(way.device.path, "ext4")
    mounts.mount(way.device.path, point)
    with contextlib.ExitStack() as at_end:
        at_end.callback(lambda: mounts.unmount(point))
        sent = os.urandom(128 * MIB)
        (point / "file").write_bytes(sent)
        os.sync()
        full = image.stat().st_blocks
        assert (point / "file").read_bytes() == sent
        (point / "file").unlink()
        os.sync()
        run(["fstrim", str(point)])
        assert image.stat().st_blocks < full  # discards reach the image
    way.again()
    run(["e2fsck", "-f", "-n", way.device.path])
    way.end()
    run(["qemu-img", "check", "-q", "-f", "qcow2", str(image)])
