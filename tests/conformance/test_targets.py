# SPDX-License-Identifier: Apache-2.0
"""The target suite on every target there is, on real daemons and loop devices."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.host import loop, processes
from breezeblock.model.reach import BlockReach
from breezeblock.targets.faults import FaultyTarget
from breezeblock.targets.target import ConnectionInfo
from tests.conformance.target_suite import *  # noqa: F403
from tests.conformance.target_suite import TargetCase
from tests.lab.data_path import Ground

pytestmark = [
    pytest.mark.lab,
    pytest.mark.requires("qemu-storage-daemon", "qemu-img", "qemu-io", "root", "loop"),
]


@contextlib.contextmanager
def connected(info: ConnectionInfo) -> Iterator[None]:
    """An NBD client that has opened the export and sits there."""
    words = ["qemu-io", "-f", "raw", str(info.data["uri"])]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write("length\n")
        client.stdin.flush()
        client.stdout.readline()  # it has answered: it is connected
        try:
            yield
        finally:
            client.kill()
            client.communicate()


@contextlib.contextmanager
def attached(info: ConnectionInfo) -> Iterator[None]:
    """A loop device of the file; or, for a block device, somebody who has it open."""
    if "device_path" in info.data:
        with Path(info.data["device_path"]).open("rb"):
            yield
        return
    device = loop.attach(Path(info.data["path"]))
    try:
        yield
    finally:
        loop.detach(device)


@pytest.fixture(params=["local-file", "local-block", "nbd-raw", "nbd-qcow2", "nbd-behind-faults"])
def case(request: pytest.FixtureRequest, ground: Ground) -> Iterator[TargetCase]:
    kind: str = request.param
    if kind == "local-file":
        yield TargetCase(ground.local, lambda name: ground.image(name, "raw"), attached)
    elif kind == "local-block":
        devices: dict[str, loop.Loop] = {}

        def block(name: str) -> BlockReach:
            devices[name] = (
                loop.attach(Path(ground.image(name, "raw").path)) if name not in devices else devices[name]
            )
            return BlockReach(devices[name].device)

        yield TargetCase(ground.local, block, attached)
        for device in devices.values():
            loop.detach(device)
    elif kind == "nbd-behind-faults":
        yield TargetCase(
            lambda: FaultyTarget(ground.nbd()), lambda name: ground.image(name, "raw"), connected
        )
    else:
        yield TargetCase(ground.nbd, lambda name: ground.image(name, kind.removeprefix("nbd-")), connected)
    assert list(processes.find(str(ground.run))) == []
