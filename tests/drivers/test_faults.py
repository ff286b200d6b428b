# SPDX-License-Identifier: Apache-2.0
"""The fault wrapper does what was planned, once for each time planned, and is otherwise not there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from breezeblock.drivers.driver import Spec
from breezeblock.drivers.faults import FaultyDriver
from breezeblock.drivers.file import FileDriver
from breezeblock.host.faults import Fault, FaultKind
from breezeblock.model.call import Context
from breezeblock.model.errors import NoSpace, Unreachable
from breezeblock.model.observation import Found
from breezeblock.model.units import MiB

CTX = Context("o", 1)
SPEC = Spec(id="v", size=MiB, pool="files")


@pytest.fixture
def driver(tmp_path: Path) -> FaultyDriver:
    driver = FaultyDriver(FileDriver(tmp_path))
    driver.start()
    return driver


def test_a_lost_answer_is_work_done(driver: FaultyDriver) -> None:
    driver.plan(Fault(verb="create", kind=FaultKind.LOST))
    with pytest.raises(Unreachable, match="answer lost"):
        driver.create(SPEC, None, CTX)
    assert driver.find("volume-v").found is Found.DONE
    assert driver.create(SPEC, None, CTX) == driver.find("volume-v").value
    assert driver.faults.planned == ()


def test_an_error_and_a_full_disk_come_before_the_work(driver: FaultyDriver) -> None:
    driver.plan(
        Fault(verb="create", kind=FaultKind.ERROR, times=2), Fault(verb="create", kind=FaultKind.FULL)
    )
    for expected in (Unreachable, Unreachable, NoSpace):
        with pytest.raises(expected, match="Planned fault"):
            driver.create(SPEC, None, CTX)
    assert driver.find("volume-v").found is Found.NOT_DONE
    assert driver.create(SPEC, None, CTX).name == "volume-v"


def test_a_delay_is_only_late(driver: FaultyDriver) -> None:
    driver.plan(Fault(verb="pools", kind=FaultKind.DELAY, seconds=0.2))
    began = time.monotonic()
    assert driver.pools()
    assert time.monotonic() - began >= 0.2


def test_a_backend_that_cannot_be_asked_is_unknown(driver: FaultyDriver) -> None:
    driver.create(SPEC, None, CTX)
    driver.plan(Fault(verb="find", kind=FaultKind.ERROR))
    assert driver.find("volume-v").found is Found.UNKNOWN
    assert driver.find("volume-v").found is Found.DONE
    assert driver.calls == ["start", "create", "find", "find"]
