# SPDX-License-Identifier: Apache-2.0
"""Chains of qcow2 images are read from their headers, and what a header leaves to guess is refused."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from breezeblock.host.backing_chain import Layer, read_chain, stored_backing
from breezeblock.model import errors

pytestmark = pytest.mark.requires("qemu-img")


def create(folder: Path, name: str, *options: str) -> Path:
    path = folder / name
    size = [] if "-b" in options else ["1M"]
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", *options, path, *size], check=True, timeout=30, cwd=folder
    )
    return path


def test_a_raw_file_stands_on_nothing(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(b"QFI\xfb" + bytes(1024))  # it may look like a qcow2 image: its format is what was said
    assert read_chain(str(path), "raw") == [Layer(str(path), "raw")]


@pytest.mark.parametrize("compat", ["0.10", "1.1"])
def test_a_chain_is_followed_to_its_base(tmp_path: Path, compat: str) -> None:
    (tmp_path / "base.raw").write_bytes(bytes(1 << 20))
    middle = create(tmp_path, "middle.qcow2", "-o", f"compat={compat}", "-b", "base.raw", "-F", "raw")
    top = create(tmp_path, "top.qcow2", "-b", str(middle), "-F", "qcow2")
    expected = [
        Layer(str(top), "qcow2"),
        Layer(str(middle), "qcow2"),
        Layer(str(tmp_path / "base.raw"), "raw"),
    ]
    assert read_chain(str(top), "qcow2") == expected
    assert stored_backing(str(middle)) == "base.raw"
    assert stored_backing(str(top)) == str(middle)


def test_an_image_alone_has_no_backing(tmp_path: Path) -> None:
    alone = create(tmp_path, "alone.qcow2")
    assert read_chain(str(alone), "qcow2") == [Layer(str(alone), "qcow2")]
    assert stored_backing(str(alone)) is None


def test_a_backing_file_without_a_format_is_refused(tmp_path: Path) -> None:
    create(tmp_path, "base.qcow2")
    top = create(tmp_path, "top.qcow2", "-b", "base.qcow2", "-F", "qcow2")
    raw = bytearray(top.read_bytes())
    at = raw.index(struct.pack(">I", 0xE2792ACA))
    raw[at : at + 4] = struct.pack(">I", 0x12345678)  # an extension nobody knows
    top.write_bytes(raw)
    with pytest.raises(errors.BadFormat, match="format"):
        read_chain(str(top), "qcow2")


def test_an_external_data_file_is_refused(tmp_path: Path) -> None:
    image = create(tmp_path, "split.qcow2", "-o", "data_file=data.raw")
    with pytest.raises(errors.BadFormat, match="another file"):
        read_chain(str(image), "qcow2")


def test_a_chain_that_bites_its_tail_is_refused(tmp_path: Path) -> None:
    create(tmp_path, "a.qcow2")
    create(tmp_path, "b.qcow2", "-b", "a.qcow2", "-F", "qcow2")
    subprocess.run(
        ["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "b.qcow2", "-F", "qcow2", "a.qcow2"],
        check=True,
        timeout=30,
        cwd=tmp_path,
    )
    with pytest.raises(errors.BadFormat, match="without end"):
        read_chain(str(tmp_path / "b.qcow2"), "qcow2")


@pytest.mark.parametrize(
    "content", [b"", b"QFI\xfb", b"MZ" + bytes(200), b"QFI\xfb" + struct.pack(">I", 9) + bytes(200)]
)
def test_what_is_no_qcow2_image_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.qcow2").write_bytes(content)
    with pytest.raises(errors.BadFormat):
        read_chain(str(tmp_path / "x.qcow2"), "qcow2")


def test_a_missing_layer_is_named(tmp_path: Path) -> None:
    create(tmp_path, "base.qcow2")
    top = create(tmp_path, "top.qcow2", "-b", "base.qcow2", "-F", "qcow2")
    (tmp_path / "base.qcow2").unlink()
    with pytest.raises(errors.NotThere, match=r"base\.qcow2"):
        read_chain(str(top), "qcow2")
