# SPDX-License-Identifier: Apache-2.0
"""The connector suite on every connector there is: real loop devices, nbdfuse and storage daemons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.host import loop
from breezeblock.model.reach import BlockReach
from breezeblock.targets.target import Mode
from tests.conformance.connector_suite import *  # noqa: F403
from tests.conformance.connector_suite import ConnectorCase
from tests.lab.data_path import HERE, MIB, Ground, as_given, identity, run

pytestmark = [
    pytest.mark.lab,
    pytest.mark.requires("qemu-storage-daemon", "qemu-img", "nbdfuse", "nbdinfo", "root", "loop", "fuse"),
]


@pytest.fixture(params=["local-file", "local-block", "nbd-raw", "nbd-qcow2"])
def case(request: pytest.FixtureRequest, ground: Ground) -> Iterator[ConnectorCase]:
    kind: str = request.param
    format = kind.removeprefix("nbd-") if kind.startswith("nbd-") else "raw"
    image = ground.image("volume", format)
    backing = None
    if kind.startswith("local"):
        backing = loop.attach(Path(image.path)) if kind == "local-block" else None
        target = ground.local()
        reach = BlockReach(backing.device) if backing else image
        export = target.export(reach, "v1", 64 * MIB, Mode.RW, ground.ctx)

        def content(length: int) -> bytes:
            with Path(reach.path).open("rb") as file:
                return file.read(length)

        info = as_given(target.admit(export, HERE, ground.ctx))
        yield ConnectorCase(ground, ground.local_connector, info, identity(export), content)
        target.unexport(export, ground.ctx)
        if backing:
            loop.detach(backing)
        return
    nbd = ground.nbd()
    export = ground.exported(nbd, image)

    def copied(length: int) -> bytes:
        """Through the export, as another client sees it."""
        out = ground.folder / "copy"
        run(["nbdcopy", export.provider["uri"], str(out)])
        with out.open("rb") as file:
            return file.read(length)

    info = as_given(nbd.admit(export, HERE, ground.ctx))
    yield ConnectorCase(ground, ground.nbd_connector, info, identity(export), copied)
    nbd.dismiss(export, HERE, ground.ctx)
    nbd.unexport(export, ground.ctx)
