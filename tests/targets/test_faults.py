# SPDX-License-Identifier: Apache-2.0
"""Planned faults happen once, in their order, and to the right verb; everything else passes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from breezeblock.host.faults import Fault, FaultKind
from breezeblock.model import errors
from breezeblock.model.call import Context
from breezeblock.model.observation import Found
from breezeblock.model.reach import FileReach
from breezeblock.targets.faults import FaultyTarget
from breezeblock.targets.local import LocalTarget
from breezeblock.targets.target import Export, Mode


@pytest.fixture
def target(tmp_path: Path) -> FaultyTarget:
    (tmp_path / "disk").write_bytes(bytes(1 << 20))
    made = FaultyTarget(LocalTarget(tmp_path / "run"))
    made.start()
    return made


def export(target: FaultyTarget, tmp_path: Path) -> Export:
    return target.export(FileReach(str(tmp_path / "disk"), "raw"), "v1", 1 << 20, Mode.RW, Context())


def test_without_a_plan_nothing_goes_wrong(target: FaultyTarget, tmp_path: Path) -> None:
    made = export(target, tmp_path)
    assert target.find(made.name).found is Found.DONE
    target.unexport(made, Context())
    assert target.calls == ["start", "export", "find", "unexport"]


def test_an_error_is_before_the_work_and_a_lost_answer_after_it(target: FaultyTarget, tmp_path: Path) -> None:
    target.plan(Fault(verb="export", kind=FaultKind.ERROR), Fault(verb="export", kind=FaultKind.LOST))
    with pytest.raises(errors.Unreachable):
        export(target, tmp_path)
    assert list(target.list()) == []
    with pytest.raises(errors.Unreachable, match="lost"):
        export(target, tmp_path)
    assert list(target.list()) == ["volume-v1"]
    made = export(target, tmp_path)  # the retry finds what was done
    assert list(target.faults.planned) == []
    target.plan(Fault(verb="unexport", kind=FaultKind.LOST))
    with pytest.raises(errors.Unreachable):
        target.unexport(made, Context())
    target.unexport(made, Context())
    assert target.find(made.name).found is Found.NOT_DONE


def test_a_full_storage_and_a_delay_can_be_had(target: FaultyTarget, tmp_path: Path) -> None:
    target.plan(
        Fault(verb="export", kind=FaultKind.FULL, times=2),
        Fault(verb="list", kind=FaultKind.DELAY, seconds=0.05),
    )
    for _ in range(2):
        with pytest.raises(errors.NoSpace):
            export(target, tmp_path)
    began = time.monotonic()
    assert list(target.list()) == []
    assert time.monotonic() - began >= 0.05


def test_a_target_that_cannot_be_asked_does_not_know(target: FaultyTarget) -> None:
    target.plan(Fault(verb="find", kind=FaultKind.ERROR))
    assert target.find("volume-v1").found is Found.UNKNOWN
    assert target.find("volume-v1").found is Found.NOT_DONE
