# SPDX-License-Identifier: Apache-2.0
"""Loop devices: identity, growth, holders, and the rule about direct I/O."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.host import block_device, loop, mounts
from breezeblock.model import errors

pytestmark = [pytest.mark.lab, pytest.mark.requires("root", "loop")]

MIB = 1 << 20


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(8 * MIB)
    yield path
    for name in ("disk.raw", "other.raw", "moved.raw"):
        left = loop.find(tmp_path / name)
        if left is not None:
            loop.detach(left, lossy=True)
            raise AssertionError(f"{left.device} was left behind")


def test_a_file_is_one_device_however_often_it_is_attached(image: Path) -> None:
    made = loop.attach(image)
    assert loop.attach(image) == made == loop.find(image)
    link = image.with_name("other name")
    link.symlink_to(image)
    assert loop.find(link) == made  # the file counts, not its name
    assert loop.size(made) == 8 * MIB == block_device.size(Path(made.device))
    assert not loop.direct_io(made)
    assert made in loop.attached()
    loop.detach(made)
    assert not loop.stands(made)
    assert loop.find(image) is None
    loop.detach(made)


def test_a_number_used_again_is_another_device(image: Path) -> None:
    first = loop.attach(image)
    loop.detach(first)
    second = loop.attach(image)
    assert second != first
    if second.device == first.device:
        assert not loop.stands(first)
    loop.detach(first)  # long gone: the new one stays
    assert loop.stands(second)
    loop.detach(second)


def test_a_renamed_or_deleted_file_keeps_its_device(image: Path) -> None:
    made = loop.attach(image)
    moved = image.rename(image.with_name("moved.raw"))
    assert loop.find(moved) == made
    moved.unlink()
    assert loop.find(moved) is None
    assert loop.stands(made)
    loop.detach(made)


def test_a_device_follows_its_file_under_a_mounted_file_system(image: Path, tmp_path: Path) -> None:
    made = loop.attach(image)
    mounts.make_filesystem(made.device, "ext4")
    mounts.mount(made.device, tmp_path / "m")
    try:
        with image.open("r+b") as file:
            file.truncate(16 * MIB)
        assert loop.size(made) == 8 * MIB
        assert loop.grow(made) == 16 * MIB == loop.size(made)
    finally:
        mounts.unmount(tmp_path / "m")
    loop.detach(made)


def test_holders_are_named_and_nothing_is_changed_while_there_are_some(image: Path, tmp_path: Path) -> None:
    made = loop.attach(image)
    with Path(made.device).open("rb"):
        with pytest.raises(errors.Busy, match=f"pid {os.getpid()}"):
            loop.detach(made)
    mounts.make_filesystem(made.device, "ext4")
    mounts.mount(made.device, tmp_path / "a b")
    try:
        with pytest.raises(errors.Busy) as busy:
            loop.detach(made)
        assert f"mounted at {tmp_path / 'a b'}" in str(busy.value)
        assert loop.stands(made)
        assert Path(f"/sys/block/{made.name}/loop/autoclear").read_text().strip() == "0"
    finally:
        mounts.unmount(tmp_path / "a b")
    loop.detach(made)


def test_a_mount_in_another_namespace_holds_it_too(image: Path, tmp_path: Path) -> None:
    made = loop.attach(image)
    mounts.make_filesystem(made.device, "ext4")
    (tmp_path / "m").mkdir()
    script = f"mount --make-rprivate / && mount {made.device} {tmp_path / 'm'} && echo up && exec sleep 60"
    other = subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"
        with pytest.raises(errors.Busy) as busy:
            loop.detach(made)
        assert str(tmp_path / "m") in str(busy.value)
    finally:
        other.kill()
        other.communicate()
    loop.detach(made)


def test_direct_io_is_possible_on_a_real_file_system_and_only_when_asked(image: Path) -> None:
    made = loop.attach(image, direct=True)
    asked = loop.direct_io(made)
    loop.detach(made)
    made = loop.attach(image)
    assert not loop.direct_io(made)
    loop.detach(made)
    assert asked or mounts.filesystem_of(image) == "tmpfs"


def test_a_read_only_device_takes_no_write(image: Path) -> None:
    made = loop.attach(image, writable=False)
    with Path(made.device).open("r+b", buffering=0) as block, pytest.raises(OSError):
        block.write(bytes(4096))
    loop.detach(made)


def test_an_ordinary_user_is_told_that_root_is_needed(image: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from breezeblock.host import loop\n"
        "loop.attached()  # what it imports may be out of the user's reach\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print([found.device for found in loop.attached()])\n"
        "try:\n    loop.attach(Path(sys.argv[1]), writable=False)\n"
        "except Exception as refused:\n    print(type(refused).__name__, refused, getattr(refused, 'remedy', ''))"
    )
    image.with_name("other.raw").write_bytes(bytes(MIB))
    for part in (image, *list(image.parents)[:-2]):
        part.chmod(0o755)
    import sys

    there = loop.attach(image.with_name("other.raw"))
    said = subprocess.run(
        [sys.executable, "-c", code, str(image)], capture_output=True, text=True, timeout=30
    )
    assert "root" in said.stdout, said.stdout + said.stderr
    assert there.device in said.stdout  # looking is allowed
    loop.detach(there)
    assert loop.find(image) is None


def test_an_absent_file_is_not_attached(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        loop.attach(tmp_path / "absent")
    assert loop.find(tmp_path / "absent") is None
