# SPDX-License-Identifier: Apache-2.0
"""A program that the work needs is not installed: whoever meets that is told its name and the package, what can be done without it is
done, and nothing is lost or half-made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.crash.api import Refused
from tests.crash.world import World
from tests.faults.conftest import Serve, fault_of

pytestmark = [
    pytest.mark.lab,
    pytest.mark.requires("root", "loop", "fuse", "qemu-img", "qemu-io", "qemu-storage-daemon", "nbdfuse"),
]


def path_without(place: Path, *missing: str) -> dict[str, str]:
    """An environment in which these programs are not found."""
    folder = place / "bin"
    folder.mkdir()
    for one in os.environ["PATH"].split(":"):
        if Path(one).is_dir():
            for entry in Path(one).iterdir():
                if entry.name not in missing and not (folder / entry.name).is_symlink():
                    (folder / entry.name).symlink_to(entry)
    return {"PATH": str(folder)}


def install(world: World) -> None:
    """With every program again."""
    world.service.environment["PATH"] = os.environ["PATH"]
    world.service.kill()
    world.recover()


def test_without_the_storage_daemon_the_backend_says_what_to_install(tmp_path: Path, serve: Serve) -> None:
    with serve(environment=path_without(tmp_path, "qemu-storage-daemon")) as world:
        status = world.api.call("GET", "/breezeblock/status")["status"]
        told = " ".join([*status["warnings"], *(one["reason"] for one in status["backends"])])
        assert "qemu-storage-daemon" in told and "apt-get install qemu-system-common" in told
        install(world)
        world.volume(world.tag())
        world.clear()


def test_without_nbdfuse_an_attached_volume_is_a_uri(tmp_path: Path, serve: Serve) -> None:
    with serve(environment=path_without(tmp_path, "nbdfuse", "nbd-client")) as world:
        volume = world.volume(world.tag())
        attachment = world.api.attach(volume)
        assert world.api.finished()["state"] == "succeeded"
        found = world.api.call("GET", f"/breezeblock/attachments/{attachment}")["attachment"]
        assert found["device"] is None and found["uri"].startswith("nbd+unix://")
        world.api.detach(volume)
        assert world.api.finished()["state"] == "succeeded"
        world.clear()


def test_without_qemu_img_a_verb_that_needs_it_names_the_package_and_loses_nothing(
    tmp_path: Path, serve: Serve
) -> None:
    with serve(environment=path_without(tmp_path, "qemu-img")) as world:
        tag = world.tag()
        volume = world.volume(tag)
        world.api.extend(volume, 2)
        ended = world.api.finished()
        found = world.api.volume(volume)
        if ended["state"] == "succeeded":
            assert (found["status"], found["size"]) == ("available", 2)
        else:
            assert found["status"] == "error_extending" and found["size"] == 1
            error = fault_of(world, volume)
            assert error["code"] == "host.program-missing" and "qemu-utils" in error["remedy"], error
        assert world.shows(f"volume-{volume}", tag)
        install(world)
        assert world.truth.problems() == []
        world.clear()


def test_without_qemu_img_deletes_leave_what_they_cannot_fold_for_later(tmp_path: Path, serve: Serve) -> None:
    with serve(environment=path_without(tmp_path, "qemu-img")) as world:
        tag = world.tag()
        volume = world.volume(tag)
        snapshot = world.snapshot(volume)
        world.api.delete_snapshot(snapshot)
        assert world.api.finished()["state"] == "succeeded", fault_of(world, snapshot)
        with pytest.raises(Refused):
            world.api.snapshot(snapshot)
        assert world.shows(f"volume-{volume}", tag)
        install(world)
        world.round("tidy")
        world.truth.settled(30.0)
        assert world.truth.problems() == []
        assert len(world.truth.tree().layers) == 1
        assert world.shows(f"volume-{volume}", tag)
        world.clear()
