# SPDX-License-Identifier: Apache-2.0
"""The file driver satisfies the Driver Protocol: with layers, with clones, and behind the fault wrapper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from breezeblock.drivers.driver import Driver
from breezeblock.drivers.faults import FaultyDriver
from breezeblock.drivers.file import FileDriver, fold
from tests.conformance.driver_suite import DriverConformance
from tests.drivers.disks import XFS_SIZE, mounted

pytestmark = pytest.mark.requires("qemu-img", "qemu-io")


@pytest.fixture(scope="module")
def xfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with mounted("xfs", XFS_SIZE, tmp_path_factory.mktemp("xfs")) as disk:
        yield disk


@pytest.fixture(
    params=[
        "layers",
        pytest.param("clones", marks=[pytest.mark.lab, pytest.mark.requires("root", "loop", "mkfs.xfs")]),
        "behind faults",
    ]
)
def restarted(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Driver]:
    """Another instance on the same folder at each call."""
    # The tests open what they are handed at once: layers may be folded in the very next moment.
    monkeypatch.setattr(fold, "HAND_OUT", 0.0)
    root = tmp_path / "pool"
    if request.param == "clones":
        root = request.getfixturevalue("xfs") / tmp_path.name

    def start() -> Driver:
        driver: Driver = FileDriver(root)
        if request.param == "behind faults":
            driver = FaultyDriver(driver)
        driver.start()
        return driver

    return start


@pytest.fixture
def driver(restarted: Callable[[], Driver]) -> Driver:
    return restarted()


class TestFileDriver(DriverConformance):
    pass
