# SPDX-License-Identifier: Apache-2.0
"""What every Target must do, whatever it exports by. A test module imports these tests and gives a `case` fixture for each target; the
machine's state is the judge, not the target's own word, wherever it can be asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from breezeblock.model import errors
from breezeblock.model.call import Context
from breezeblock.model.observation import Found
from breezeblock.model.reach import FileReach, Reach
from breezeblock.targets.target import ConnectionInfo, Export, Mode, Target
from tests.lab.data_path import HERE, MIB

__all__ = [
    "test_a_cancelled_call_exports_nothing",
    "test_a_connector_that_says_no_host_is_refused",
    "test_a_forced_unexport_ends_an_export_in_use",
    "test_a_format_it_does_not_know_is_refused",
    "test_a_held_export_is_busy_and_names_its_holder",
    "test_a_host_it_cannot_serve_is_refused",
    "test_a_successor_finds_what_its_predecessor_exported",
    "test_admission_tells_how_to_connect",
    "test_an_absent_image_is_refused_and_nothing_stands",
    "test_an_export_can_be_taken_back_twice",
    "test_an_owner_that_was_taken_over_changes_nothing",
    "test_another_mode_is_refused_while_the_export_stands",
    "test_dismissing_twice_is_success",
    "test_exporting_twice_gives_one_export",
    "test_the_name_comes_from_the_id_alone",
    "test_twenty_volumes_come_and_go",
]


class TargetCase:
    """A target under test. `fresh` is the same target as a restarted service has it; `image` makes a volume's storage;
    `hold` uses an export as its user does."""

    size = 64 * MIB

    def __init__(
        self,
        fresh: Callable[[], Target],
        image: Callable[[str], Reach],
        hold: Callable[[ConnectionInfo], AbstractContextManager[None]],
    ) -> None:
        self.fresh, self.image, self.hold = fresh, image, hold
        self.target = fresh()
        self.target.start()
        self.ctx = Context()

    def export(self, volume_id: str = "v1", mode: Mode = Mode.RW) -> Export:
        return self.target.export(self.image(volume_id), volume_id, self.size, mode, self.ctx)


def test_the_name_comes_from_the_id_alone(case: TargetCase) -> None:
    assert case.target.name("v1") == case.fresh().name("v1") == case.export().name
    case.target.unexport(case.export(), case.ctx)


def test_exporting_twice_gives_one_export(case: TargetCase) -> None:
    first = case.export()
    assert case.export() == first
    assert list(case.target.list()) == [first.name]
    case.target.unexport(first, case.ctx)


def test_a_successor_finds_what_its_predecessor_exported(case: TargetCase) -> None:
    export = case.export()
    successor = case.fresh()
    successor.start()
    seen = successor.find(export.name)
    assert (seen.found, seen.value) == (Found.DONE, export)
    assert list(successor.list()) == [export.name]
    successor.unexport(export, case.ctx)
    assert case.target.find(export.name).found is Found.NOT_DONE


def test_admission_tells_how_to_connect(case: TargetCase) -> None:
    export = case.export()
    info = case.target.admit(export, HERE, case.ctx)
    assert info == case.target.admit(export, HERE, case.ctx)
    assert info.driver_volume_type == case.target.capabilities.protocol
    assert (info.data["volume_id"], info.data["size"], info.data["access_mode"]) == ("v1", case.size, "rw")
    case.target.dismiss(export, HERE, case.ctx)
    case.target.unexport(export, case.ctx)


def test_a_connector_that_says_no_host_is_refused(case: TargetCase) -> None:
    export = case.export()
    with pytest.raises(errors.BadRequest):
        case.target.admit(export, {"ip": "192.0.2.1"}, case.ctx)
    case.target.unexport(export, case.ctx)


def test_a_host_it_cannot_serve_is_refused(case: TargetCase) -> None:
    export = case.export()
    if not case.target.capabilities.remote:
        with pytest.raises(errors.BadRequest) as refused:
            case.target.admit(export, {"host": "elsewhere"}, case.ctx)
        assert "elsewhere" in str(refused.value)
    case.target.unexport(export, case.ctx)
    with pytest.raises(errors.NotThere):
        case.target.admit(export, HERE, case.ctx)


def test_an_export_can_be_taken_back_twice(case: TargetCase) -> None:
    export = case.export()
    case.target.unexport(export, case.ctx)
    case.target.unexport(export, case.ctx)
    assert case.target.find(export.name).found is Found.NOT_DONE
    assert list(case.target.list()) == []
    assert list(case.target.sessions(export)) == []


def test_a_held_export_is_busy_and_names_its_holder(case: TargetCase) -> None:
    export = case.export()
    assert list(case.target.sessions(export)) == []
    with case.hold(case.target.admit(export, HERE, case.ctx)):
        (session,) = case.target.sessions(export)
        with pytest.raises(errors.Busy) as busy:
            case.target.unexport(export, case.ctx)
        assert session.client in str(busy.value)
        assert case.target.find(export.name).found is Found.DONE
    case.target.dismiss(export, HERE, case.ctx)
    case.target.unexport(export, case.ctx)


def test_a_forced_unexport_ends_an_export_in_use(case: TargetCase) -> None:
    export = case.export()
    with case.hold(case.target.admit(export, HERE, case.ctx)):
        case.target.unexport(export, case.ctx, force=True)
        assert case.target.find(export.name).found is Found.NOT_DONE
    assert list(case.target.list()) == []


def test_dismissing_twice_is_success(case: TargetCase) -> None:
    export = case.export()
    case.target.admit(export, HERE, case.ctx)
    assert case.target.dismiss(export, HERE, case.ctx) is False
    assert case.target.dismiss(export, HERE, case.ctx) is False
    assert case.target.dismiss(export, None, case.ctx) is False
    case.target.unexport(export, case.ctx)
    assert case.target.dismiss(export, HERE, case.ctx) is False


def test_another_mode_is_refused_while_the_export_stands(case: TargetCase) -> None:
    export = case.export()
    with pytest.raises(errors.Busy):
        case.export(mode=Mode.RO)
    case.target.unexport(export, case.ctx)
    again = case.export(mode=Mode.RO)
    assert again.mode is Mode.RO
    case.target.unexport(again, case.ctx)


def test_a_format_it_does_not_know_is_refused(case: TargetCase) -> None:
    strange = FileReach("/nowhere.vmdk", "vmdk")
    assert not case.target.accepts(strange)
    with pytest.raises(errors.Unsupported):
        case.target.export(strange, "v1", case.size, Mode.RW, case.ctx)
    assert list(case.target.list()) == []


def test_an_absent_image_is_refused_and_nothing_stands(case: TargetCase) -> None:
    there = case.image("v1")
    absent = FileReach(there.path + ".gone", getattr(there, "format", "raw"))
    with pytest.raises(errors.NotThere):
        case.target.export(absent, "v1", case.size, Mode.RW, case.ctx)
    name = case.target.name("v1")
    assert case.target.find(name).found in (Found.NOT_DONE, Found.PARTIAL)
    export = case.export()  # the next one is not hindered by it
    case.target.unexport(export, case.ctx)
    assert case.target.find(name).found is Found.NOT_DONE


def test_a_cancelled_call_exports_nothing(case: TargetCase) -> None:
    def cancelled() -> None:
        raise errors.Cancelled()

    with pytest.raises(errors.Cancelled):
        case.target.export(case.image("v1"), "v1", case.size, Mode.RW, Context(check=cancelled))
    assert list(case.target.list()) == []


def test_twenty_volumes_come_and_go(case: TargetCase) -> None:
    ids = [f"v{number}" for number in range(20)]
    exports = {volume_id: case.export(volume_id) for volume_id in ids}
    assert sorted(case.target.list()) == sorted(export.name for export in exports.values())
    assert len({str(case.target.admit(export, HERE, case.ctx)) for export in exports.values()}) == 20
    for volume_id in ids[::2]:
        case.target.unexport(exports.pop(volume_id), case.ctx)
    assert all(case.target.find(export.name).found is Found.DONE for export in exports.values())
    for export in exports.values():
        case.target.unexport(export, case.ctx)
    assert list(case.target.list()) == []


def test_an_owner_that_was_taken_over_changes_nothing(case: TargetCase) -> None:
    """Its successor has ended the export, and would never know of another."""
    older, newer = Context("older", 5), Context("newer", 9)
    image = case.image("v1")
    export = case.target.export(image, "v1", case.size, Mode.RW, older)
    case.target.admit(export, HERE, newer)
    with pytest.raises(errors.Fenced):
        case.target.unexport(export, older)
    with pytest.raises(errors.Fenced):
        case.target.resized(export, 2 * case.size, older)
    case.target.unexport(export, newer)
    with pytest.raises(errors.Fenced):
        case.fresh().export(image, "v1", case.size, Mode.RW, older)
    assert list(case.target.list()) == []
