# SPDX-License-Identifier: Apache-2.0
"""Files are replaced whole, links are swapped in one step, holes are not copied, and a writer is seen whoever it is."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from breezeblock.host import files
from breezeblock.model.errors import Cancelled, NoSpace, ProgramFailed
from breezeblock.model.units import MiB


def sparse(path: Path) -> Path:
    """8 MiB with data at 1 MiB and at 5 MiB."""
    with path.open("wb") as file:
        for at in (1, 5):
            file.seek(at * MiB)
            file.write(b"\xa5" * 65536)
        file.truncate(8 * MiB)
    return path


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    files.write_whole(path, b"one")
    files.write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_made_and_swapped(tmp_path: Path) -> None:
    link = tmp_path / "link"
    (tmp_path / "draft").symlink_to("left by a crash")
    files.point(link, "one", tmp_path / "draft")
    files.point(link, "two", tmp_path / "draft")
    assert os.readlink(link) == "two"
    assert list(tmp_path.iterdir()) == [link]


def test_data_ranges_leave_holes_out(tmp_path: Path) -> None:
    with sparse(tmp_path / "s").open("rb") as file:
        ranges = list(files.data_ranges(file.fileno(), 8 * MiB))
    assert ranges == [(MiB, MiB + 65536), (5 * MiB, 5 * MiB + 65536)]


@pytest.mark.parametrize("target", ["the same file system", "another file system"])
def test_a_sparse_copy_is_equal_and_as_sparse(tmp_path: Path, target: str) -> None:
    copy = tmp_path / "copy"
    if target.startswith("another"):
        copy = Path("/dev/shm") / f"copy-{os.getpid()}"
    seen: list[tuple[int, int]] = []
    with sparse(tmp_path / "s").open("rb") as source, copy.open("w+b") as file:
        files.copy_sparse(
            source.fileno(), file.fileno(), 8 * MiB, lambda done, total: seen.append((done, total))
        )
        file.seek(0)
        same = file.read() == (tmp_path / "s").read_bytes()
    taken = files.allocated(copy)
    copy.unlink()
    assert same
    assert taken <= 2 * MiB
    assert seen[0] == (0, 131072)
    assert seen[-1] == (131072, 131072)


def test_a_sparse_copy_can_be_stopped_between_parts(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise Cancelled

    with sparse(tmp_path / "s").open("rb") as source, (tmp_path / "copy").open("w+b") as file:
        with pytest.raises(Cancelled):
            files.copy_sparse(source.fileno(), file.fileno(), 8 * MiB, stop)


def test_a_source_that_shrinks_while_it_is_copied_is_an_error(tmp_path: Path) -> None:
    with sparse(tmp_path / "s").open("r+b") as source, (tmp_path / "copy").open("w+b") as file:

        def shrink(done: int, total: int) -> None:
            source.truncate(2 * MiB)

        with pytest.raises(OSError, match="shorter"):
            files.copy_sparse(source.fileno(), file.fileno(), 8 * MiB, shrink)


def test_a_process_that_may_write_is_seen_and_a_reader_is_not(tmp_path: Path) -> None:
    path = sparse(tmp_path / "s")
    assert not files.written_by_others(path)
    with path.open("rb"):
        assert not files.written_by_others(path)
    with path.open("r+b"):
        assert files.written_by_others(path)
    assert not files.written_by_others(path)
    assert not files.written_by_others(tmp_path / "absent")


@pytest.mark.lab
@pytest.mark.requires("root", "loop", "losetup")
def test_a_loop_device_is_a_writer(tmp_path: Path) -> None:
    path = sparse(tmp_path / "s")
    device = subprocess.run(
        ["losetup", "--find", "--show", str(path)], capture_output=True, text=True, check=True, timeout=30
    ).stdout.strip()
    try:
        assert files.written_by_others(path)
    finally:
        subprocess.run(["losetup", "-d", device], check=True, timeout=30)


@pytest.mark.requires("qemu-io")
def test_where_there_are_no_leases_qemus_own_locks_are_asked(tmp_path: Path) -> None:
    path = sparse(tmp_path / "s")
    process = subprocess.Popen(
        ["qemu-io", "-f", "raw", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write("length\n")
        process.stdin.flush()
        while "8 MiB" not in process.stdout.readline():
            assert process.poll() is None
        with path.open("rb") as file:
            assert files._locked_by_qemu(file.fileno())
    finally:
        process.communicate("quit\n", timeout=10)
    with path.open("rb") as file:
        assert not files._locked_by_qemu(file.fileno())


def test_a_full_disk_is_no_space_whoever_met_it(tmp_path: Path) -> None:
    with (
        pytest.raises(NoSpace, match="making x; it was undone"),
        files.full_is_no_space("making x", tmp_path),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(NoSpace) as caught, files.full_is_no_space("making x", tmp_path):
        raise ProgramFailed("qemu-img", stderr="error while writing: No space left on device")
    assert "bytes" in str(caught.value)
    with pytest.raises(ProgramFailed), files.full_is_no_space("making x", tmp_path):
        raise ProgramFailed("qemu-img", stderr="something else")
    with pytest.raises(PermissionError), files.full_is_no_space("making x", tmp_path):
        raise PermissionError(errno.EACCES, "no")
