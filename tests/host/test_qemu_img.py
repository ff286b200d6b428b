# SPDX-License-Identifier: Apache-2.0
"""qemu-img does what its functions promise: bytes are pulled up before a header is switched, and copies are whole and sparse."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from breezeblock.host import executor, qemu_img
from breezeblock.host.executor import Mover
from breezeblock.host.qcow2 import read_header
from breezeblock.model.call import Context
from breezeblock.model.errors import Cancelled, ProgramFailed
from breezeblock.model.units import MiB

pytestmark = pytest.mark.requires("qemu-img", "qemu-io")

STEP = 64 << 10


def qemu(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, argv)], capture_output=True, text=True, timeout=60)


def image(path: Path, writes: str = "", base: Path | None = None) -> Path:
    """A qcow2 image of 16 MiB; `writes`: one character a step, "." untouched, "0" zeros, else the byte's value."""
    below = ["-b", base.name, "-F", base.suffix[1:]] if base else []
    assert qemu("qemu-img", "create", "-q", "-f", "qcow2", *below, path, "16M").returncode == 0
    for step, value in enumerate(writes):
        if value != ".":
            how = "-z" if value == "0" else f"-P {value}"
            assert (
                qemu("qemu-io", "-f", "qcow2", "-c", f"write {how} {step * STEP} {STEP}", path).returncode
                == 0
            )
    return path


def shows(path: Path, expected: str) -> bool:
    reads = [
        word
        for step, value in enumerate(expected)
        for word in ("-c", f"read -P {value} {step * STEP} {STEP}")
    ]
    return qemu("qemu-io", "-r", "-f", "qcow2", *reads, path).returncode == 0


def mover(tmp_path: Path, ctx: Context | None = None) -> Mover:
    return Mover(ctx or Context(), tmp_path / "mover")


def test_what_is_pulled_up_is_shown_without_the_layer_it_came_from(tmp_path: Path) -> None:
    ground = image(tmp_path / "g.qcow2", "1111")
    parent = image(tmp_path / "p.qcow2", ".202", ground)
    child = image(tmp_path / "c.qcow2", "...3.", parent)
    qemu_img.pull_up(child, 1, mover(tmp_path), zeros=True)
    assert read_header(child).backing_file == "p.qcow2"
    assert shows(child, "12030")
    qemu_img.stand_on(child, "g.qcow2", "qcow2")
    parent.unlink()
    assert shows(child, "12030")
    qemu_img.check(child)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["c.qcow2", "g.qcow2"]


def test_a_raw_base_is_pulled_up_without_its_holes(tmp_path: Path) -> None:
    base = tmp_path / "base.raw"
    base.write_bytes(b"\x05" * STEP)
    os.truncate(base, 16 * MiB)
    child = image(tmp_path / "c.qcow2", ".7", base)
    qemu_img.pull_up(child, 1, mover(tmp_path), zeros=False)
    qemu_img.stand_on(child, None, "")
    base.unlink()
    assert shows(child, "570")
    assert child.stat().st_blocks * 512 < MiB


def test_nothing_is_switched_when_not_everything_was_pulled_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = image(tmp_path / "p.qcow2", "12")
    child = image(tmp_path / "c.qcow2", "", parent)
    run = executor.run
    monkeypatch.setattr(
        executor, "run", lambda argv, **more: run(argv, **{**more, "input": b""} if "input" in more else more)
    )
    with pytest.raises(ProgramFailed, match="1 of 1 ranges are left"):
        qemu_img.pull_up(child, 1, mover(tmp_path), zeros=False)
    assert shows(child, "12")


def test_a_commit_leaves_the_overlay_as_it_is(tmp_path: Path) -> None:
    parent = image(tmp_path / "p.qcow2", "112")
    child = image(tmp_path / "c.qcow2", "3.4", parent)
    before = child.read_bytes()
    qemu_img.commit(child, mover(tmp_path))
    assert child.read_bytes() == before
    assert shows(parent, "314")


def test_an_image_that_somebody_has_open_is_told_from_a_broken_one(tmp_path: Path) -> None:
    held, broken = image(tmp_path / "held.qcow2"), image(tmp_path / "broken.qcow2")
    broken.write_bytes(b"broken")
    process = subprocess.Popen(
        ["qemu-io", "-f", "qcow2", str(held)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write("length\n")
        process.stdin.flush()
        while "16 MiB" not in process.stdout.readline():
            assert process.poll() is None
        with pytest.raises(ProgramFailed) as in_use:
            qemu_img.resize(held, 32 * MiB)
    finally:
        process.communicate("quit\n", timeout=10)
    with pytest.raises(ProgramFailed) as damaged:
        qemu_img.resize(broken, 32 * MiB)
    assert qemu_img.is_in_use(in_use.value)
    assert not qemu_img.is_in_use(damaged.value)


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_a_converted_image_is_whole_and_sparse(tmp_path: Path, format: str) -> None:
    parent = image(tmp_path / "p.qcow2", "12")
    child = image(tmp_path / "c.qcow2", ".3", parent)
    target = tmp_path / f"t.{format}"
    if format == "raw":
        target.touch()
        os.truncate(target, 32 * MiB)
    else:
        assert qemu("qemu-img", "create", "-q", "-f", "qcow2", target, "32M").returncode == 0
    qemu_img.convert(child, "qcow2", target, format, mover(tmp_path), total=2 * STEP)
    assert qemu("qemu-img", "compare", "-f", "qcow2", "-F", format, child, target).returncode == 0
    assert target.stat().st_blocks * 512 < MiB


def test_a_cancelled_move_leaves_no_process_and_no_record(tmp_path: Path) -> None:
    parent = image(tmp_path / "p.qcow2", "12")
    child = image(tmp_path / "c.qcow2", ".3", parent)

    def check() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        qemu_img.commit(child, mover(tmp_path, Context(check=check)))
    assert shows(parent, "120")
    assert not (tmp_path / "mover").exists()
