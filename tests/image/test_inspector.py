# SPDX-License-Identifier: Apache-2.0
"""What an image is, read from its header alone: what names other files or hides something is refused, by every name it has."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeblock.host import qcow2
from breezeblock.image.inspector import ImageFacts, facts_of, inspect, read_facts, refusals
from breezeblock.model.errors import BadFormat
from breezeblock.model.units import MiB


def create(path: Path, *options: str, format: str = "qcow2") -> Path:
    command = ["qemu-img", "create", "-q", "-f", format, *options, str(path), "4M"]
    for _ in range(10):
        done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=30)
        # LUKS measures its key derivation by the thread's CPU clock, which stands still for moments on some machines.
        if "Unable to get accurate CPU usage" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    return path


def patched(path: Path, at: int, format: str, value: int) -> Path:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(struct.pack(format, value))
    return path


def test_plain_bytes_are_raw(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(b"\x55" * 1000)
    assert inspect(tmp_path / "disk") == ImageFacts(format="raw", virtual_size=1000, file_size=1000)


@pytest.mark.requires("qemu-img")
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-o", "compat=0.10"],
        ["-o", "cluster_size=2M"],
        ["-o", "compression_type=zstd"],
        ["-o", "extended_l2=on"],
    ],
    ids=lambda options: "".join(options[1:]) or "plain",
)
def test_a_qcow2_image_that_stands_alone_is_taken(tmp_path: Path, options: list[str]) -> None:
    facts = inspect(create(tmp_path / "i", *options))
    assert (facts.format, facts.virtual_size) == ("qcow2", 4 * MiB)
    assert facts.file_size == (tmp_path / "i").stat().st_size


@pytest.mark.requires("qemu-img")
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-b", "/etc/passwd", "-F", "raw", "-u"], "backing file"),
        (["-b", 'json:{"driver":"raw","file.filename":"/etc/passwd"}', "-F", "raw", "-u"], "backing file"),
        (["-o", "cluster_size=512", "-b", "x" * 200, "-F", "raw", "-u"], "backing file"),
        (["-o", "data_file=other.raw"], "another file"),
        (["-o", "data_file=other.raw,data_file_raw=on"], "another file"),
        pytest.param(
            [
                "--object",
                "secret,id=s,data=1234",
                "-o",
                "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10",
            ],
            "encrypted",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_an_image_that_is_more_than_itself_is_refused(
    tmp_path: Path, options: list[str], reason: str
) -> None:
    create(tmp_path / "i", *options)
    with pytest.raises(BadFormat, match=reason):
        inspect(tmp_path / "i")
    with pytest.raises(BadFormat, match=reason):
        inspect(tmp_path / "i", "qcow2")


@pytest.mark.requires("qemu-img")
def test_a_backing_file_is_told_by_name_but_never_opened(tmp_path: Path) -> None:
    create(tmp_path / "i", "-b", "/nonexistent/secret", "-F", "raw", "-u")
    assert read_facts(tmp_path / "i").backing_file == "/nonexistent/secret"


@pytest.mark.requires("qemu-img")
@pytest.mark.parametrize(
    ("bit", "reason"),
    [(0, "not closed properly"), (1, "corrupt"), (5, "nobody here knows"), (63, "nobody here knows")],
)
def test_incompatible_features_are_refused(tmp_path: Path, bit: int, reason: str) -> None:
    with pytest.raises(BadFormat, match=reason):
        inspect(patched(create(tmp_path / "i"), 72, ">Q", 1 << bit))


@pytest.mark.requires("qemu-img")
def test_internal_snapshots_are_refused_and_every_reason_is_named(tmp_path: Path) -> None:
    image = create(tmp_path / "i")
    subprocess.run(["qemu-img", "snapshot", "-c", "hidden", str(image)], check=True, timeout=30)
    patched(image, 72, ">Q", 1 << 1)
    with pytest.raises(BadFormat, match=r"corrupt, and it has 1 internal snapshots"):
        inspect(image)


@pytest.mark.requires("qemu-img")
@pytest.mark.parametrize("format", ["vmdk", "vpc", "vhdx", "vdi", "qed", "parallels", "qcow"])
def test_other_formats_are_refused_by_name(tmp_path: Path, format: str) -> None:
    with pytest.raises(BadFormat, match=f"format {format} "):
        inspect(create(tmp_path / "i", format=format))


@pytest.mark.requires("qemu-img")
def test_a_fixed_vhd_is_known_by_its_last_sector(tmp_path: Path) -> None:
    with pytest.raises(BadFormat, match="format vpc"):
        inspect(create(tmp_path / "i", "-o", "subformat=fixed", format="vpc"))


def test_a_vmdk_descriptor_that_names_a_path_is_refused(tmp_path: Path) -> None:
    text = '# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 8 FLAT "/etc/passwd" 0\n'
    (tmp_path / "i").write_text(text)
    with pytest.raises(BadFormat, match="vmdk"):
        inspect(tmp_path / "i")


@pytest.mark.requires("qemu-img")
def test_a_stated_format_is_taken_at_its_word_or_contradicted(tmp_path: Path) -> None:
    image = create(tmp_path / "i", "-b", "/etc/passwd", "-F", "raw", "-u")
    assert inspect(image, "raw").virtual_size == image.stat().st_size
    (tmp_path / "plain").write_bytes(b"\0" * 4096)
    with pytest.raises(BadFormat, match="not a qcow2"):
        inspect(tmp_path / "plain", "qcow2")
    with pytest.raises(BadFormat, match="vmdk are not taken"):
        inspect(tmp_path / "plain", "vmdk")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        inspect(tmp_path / "link")


def test_no_more_than_a_header_is_read(tmp_path: Path) -> None:
    image = tmp_path / "huge"
    with image.open("wb") as file:
        qcow2.write_new(file.fileno(), 1 << 40)
        os.truncate(file.fileno(), 1 << 40)
    asked: list[int] = []

    def more(count: int) -> bytes:
        asked.append(count)
        with image.open("rb") as again:
            return again.read(count)

    with image.open("rb") as start:
        facts_of(start.read(4096), b"", 1 << 40, None, more)
    assert all(count <= qcow2.READ_LIMIT for count in asked)


@given(st.binary(max_size=800), st.sampled_from([None, "raw", "qcow2"]))
def test_no_bytes_make_it_fail_otherwise(junk: bytes, stated: str | None) -> None:
    for head in (junk, qcow2.MAGIC + junk, qcow2.MAGIC + b"\0\0\0\3" + junk):
        try:
            facts = facts_of(head, head[-512:], len(head), stated)
        except BadFormat:
            continue
        assert facts.format in ("raw", "qcow2")
        assert isinstance(refusals(facts), list)
