# SPDX-License-Identifier: Apache-2.0
"""The headers written here are what qemu-img would have made, and what is read of a header is bounded and checked."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeblock.host import qcow2
from breezeblock.host.qcow2 import Backing, parse_header, read_header, write_new
from breezeblock.model.errors import BadFormat
from breezeblock.model.units import GiB, MiB

TiB = 1 << 40


def new(path: Path, size: int, backing: Backing | None = None) -> Path:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        write_new(fd, size, backing)
    finally:
        os.close(fd)
    return path


def qemu(*argv: str | Path) -> str:
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def header_of(path: Path) -> bytearray:
    return bytearray(path.read_bytes()[: 2 * 65536])


@pytest.mark.requires("qemu-img", "qemu-io")
@pytest.mark.parametrize("size", [512, MiB, GiB, 512 * MiB + 512, 4 * TiB, 4 * TiB + 512, 512 * TiB])
def test_an_empty_image_satisfies_qemu(tmp_path: Path, size: int) -> None:
    image = new(tmp_path / "i", size)
    assert "No errors were found" in qemu("qemu-img", "check", "-f", "qcow2", image)
    info = json.loads(qemu("qemu-img", "info", "-f", "qcow2", "--output=json", image))
    assert info["virtual-size"] == size
    assert info["format-specific"]["data"]["compat"] == "1.1"
    assert info["format-specific"]["data"]["lazy-refcounts"] is False
    end = size - 512
    qemu("qemu-io", "-f", "qcow2", "-c", f"read -P 0 {end} 512", "-c", f"write -P 5 {end} 512", image)
    qemu("qemu-io", "-r", "-f", "qcow2", "-c", f"read -P 5 {end} 512", image)
    assert "No errors were found" in qemu("qemu-img", "check", "-f", "qcow2", image)


@pytest.mark.requires("qemu-img")
def test_an_empty_image_is_the_one_that_qemu_img_makes(tmp_path: Path) -> None:
    ours, theirs = new(tmp_path / "ours", 10 * GiB), tmp_path / "theirs"
    qemu(
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        "cluster_size=65536,compat=1.1",
        theirs,
        str(10 * GiB),
    )
    mine, other = header_of(ours), header_of(theirs)
    assert mine[:104] == other[:104]


@pytest.mark.requires("qemu-img", "qemu-io")
def test_an_overlay_shows_what_lies_below(tmp_path: Path) -> None:
    base = new(tmp_path / "base.qcow2", MiB)
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", base)
    top = new(tmp_path / "top.qcow2", 2 * MiB, Backing("base.qcow2", "qcow2"))
    info = json.loads(qemu("qemu-img", "info", "-f", "qcow2", "--output=json", top))
    assert (info["backing-filename"], info["backing-filename-format"]) == ("base.qcow2", "qcow2")
    qemu(
        "qemu-io",
        "-f",
        "qcow2",
        "-c",
        "read -P 7 0 64k",
        "-c",
        "read -P 0 1M 1M",
        "-c",
        "write -P 8 0 4k",
        top,
    )
    qemu("qemu-img", "check", "-f", "qcow2", top)
    header = read_header(top)
    assert (header.size, header.backing_file, header.backing_format) == (2 * MiB, "base.qcow2", "qcow2")


@pytest.mark.requires("qemu-io")
def test_an_image_is_untouched_until_a_byte_is_written(tmp_path: Path) -> None:
    image = new(tmp_path / "i", GiB)
    assert qcow2.is_untouched(image)
    qemu("qemu-io", "-f", "qcow2", "-c", "read 0 1M", image)
    assert qcow2.is_untouched(image)
    qemu("qemu-io", "-f", "qcow2", "-c", "write -z 0 64k", image)
    assert not qcow2.is_untouched(image)


@pytest.mark.requires("qemu-io")
def test_a_full_image_is_no_larger_than_foretold(tmp_path: Path) -> None:
    image = new(tmp_path / "i", 40 * MiB)
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 40M", image)
    taken = image.stat().st_blocks * 512
    assert 40 * MiB < taken <= qcow2.full_size(40 * MiB) < 41 * MiB


@pytest.mark.parametrize("size", [0, -512, 100, 4 << 50])
def test_a_size_that_no_disk_has_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(ValueError):
        new(tmp_path / "i", size)


@pytest.mark.parametrize(
    ("at", "format", "value", "complaint"),
    [
        (0, ">I", 0x51464900, "not a qcow2"),
        (4, ">I", 4, "version"),
        (20, ">I", 40, "cluster size"),
        (24, ">Q", 1 << 63, "size"),
        (36, ">I", 1 << 30, "size"),
        (8, ">Q", 1 << 40, "backing file name"),
        (8, ">Q", 4, "backing file name"),
        (96, ">I", 9, "header length"),
        (100, ">I", 5000, "header length"),
        (112, ">I", 0xE2792ACA, "extension is too long"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(
    tmp_path: Path, at: int, format: str, value: int, complaint: str
) -> None:
    head = header_of(new(tmp_path / "i", MiB, Backing("below", "raw")))
    struct.pack_into(format, head, at, value)
    if complaint == "extension is too long":
        struct.pack_into(">I", head, 116, 1 << 30)
    with pytest.raises(BadFormat, match=complaint):
        parse_header(bytes(head))


def test_a_header_cut_short_is_refused(tmp_path: Path) -> None:
    head = bytes(header_of(new(tmp_path / "i", MiB, Backing("below", "raw"))))
    for length in (0, 3, 71, 72, 103, 130, 140):
        with pytest.raises(BadFormat):
            parse_header(head[:length])


@given(st.binary(max_size=600))
def test_no_bytes_make_the_parser_fail_otherwise(junk: bytes) -> None:
    for head in (junk, qcow2.MAGIC + junk, qcow2.MAGIC + b"\0\0\0\3" + junk):
        try:
            header = parse_header(head)
        except BadFormat:
            continue
        assert header.version in (2, 3)


def test_an_external_data_file_and_encryption_are_seen(tmp_path: Path) -> None:
    head = header_of(new(tmp_path / "i", MiB))
    struct.pack_into(">Q", head, 72, 1 << qcow2.EXTERNAL_DATA)
    assert parse_header(bytes(head)).data_file == "(unnamed)"
    struct.pack_into(">I", head, 32, 2)
    assert parse_header(bytes(head)).encryption == 2
