# SPDX-License-Identifier: Apache-2.0
"""The disk of the data folder is full: what would change anything is refused with the reason and the remedy, what only looks is answered,
and with space again the service goes on by itself, with nothing lost and nothing half-done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.api import Refused
from tests.drivers.disks import mounted
from tests.faults.conftest import Serve
from tests.faults.test_full_disk import full

pytestmark = [pytest.mark.lab, pytest.mark.requires("root", "loop", "mkfs.ext4", "qemu-io")]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted("ext4", 64 << 20, tmp_path) as disk:
        yield disk


def test_a_full_database_refuses_changes_with_a_remedy_and_answers_questions(
    disk: Path, serve: Serve
) -> None:
    with serve(data=disk / "data") as world:
        volume = world.volume(world.tag())
        with full(disk):
            refused = None
            for _ in range(40):  # the log of SQLite may have room for a few more
                try:
                    world.api.call("POST", f"/volumes/{volume}/metadata", {"metadata": {"k": "v" * 200}})
                except Refused as error:
                    refused = error
                    break
            assert refused is not None, "the disk was not full"
            assert refused.status in (500, 503, 507)
            assert "disk" in refused.fault["message"] and "full" in refused.fault["message"], refused
            with pytest.raises(Refused, match="full"):
                world.api.create_volume("w")
            assert world.api.volume(volume)["status"] == "available"
            assert world.api.volume_ids() == {volume}
        made = world.api.create_volume("w")["id"]
        world.truth.settled(60.0)
        assert world.api.volume(made)["status"] == "available"
        assert world.truth.problems() == []
        world.clear()


def test_an_operation_that_meets_a_full_database_goes_on_when_there_is_space(
    disk: Path, serve: Serve
) -> None:
    with serve(data=disk / "data") as world:
        world.service.plan({"on": "driver", "verb": "create", "kind": "delay", "seconds": 1.5})
        made = world.api.create_volume("v")["id"]
        time.sleep(0.5)
        with full(disk):
            time.sleep(3.0)  # the result cannot be written
        world.truth.settled(90.0)
        assert world.api.volume(made)["status"] == "available"
        assert world.truth.problems() == []
        world.clear()
