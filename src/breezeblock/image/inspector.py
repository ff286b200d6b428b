# SPDX-License-Identifier: Apache-2.0
"""What an image file is, from its header alone, before any other program sees it. Reads a bounded prefix (and one sector at the end),
follows no name, trusts nothing. Must never be skipped for bytes that a user brought, and never be asked what a *stored* volume is: that is
a fact from the day it was made (a guest can write any header into its raw disk).

What is refused, and why: a backing file or an external data file names files of this host (CVE-2024-32498, CVE-2024-4467); unknown
incompatible features mean that nobody knows how to read it; encrypted, dirty or corrupt images and images with internal snapshots hold
more or less than they show; every other format is refused by name instead of being stored as raw and met by a prober later
(CVE-2022-47951, CVE-2026-24708). A stated format "raw" is taken at its word: raw bytes may look like anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from breezeblock.host import qcow2
from breezeblock.model.errors import BadFormat

#: Bytes read at the start: every magic below lies in them.
_PREFIX = 4096
_SECTOR = 512
_KNOWN_FEATURES = (1 << qcow2.DIRTY) | (1 << qcow2.CORRUPT) | (1 << qcow2.EXTERNAL_DATA) | (1 << qcow2.COMPRESSION) | (
    1 << qcow2.EXTENDED_L2
)  # fmt: skip

#: The version of qcow2's forerunner, which has the same magic.
_QCOW_1 = b"\0\0\0\1"
#: Formats that are recognised in order to be refused: (offset, magic, name).
_FOREIGN = (
    (0, qcow2.MAGIC + _QCOW_1, "qcow"),
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"conectix", "vpc"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"QED\0", "qed"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
    (0, b"Bochs Virtual HD Image", "bochs"),
    (0, b"#!/bin/sh\n#V2.0 Format\n", "cloop"),
)
#: Formats with their magic in the last sector.
_FOREIGN_TAIL = ((b"conectix", "vpc"), (b"koly", "dmg"))


class ImageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a header says. Sizes in bytes; `virtual_size` is the disk's, `file_size` the file's. For raw both are the same."""

    format: str
    virtual_size: int
    file_size: int
    version: int = 0
    backing_file: str | None = None
    data_file: str | None = None
    incompatible: int = 0
    encrypted: bool = False
    snapshots: int = 0


def read_facts(path: Path, stated: str | None = None, *, opened: int | None = None) -> ImageFacts:
    """The facts, acceptable or not. `stated` ("raw", "qcow2") is what somebody who knows says it is. `opened`: a descriptor of the file,
    for whoever goes on reading by it. Raises BadFormat when the header makes no sense, or contradicts what was stated."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW) if opened is None else opened
    try:
        size = os.fstat(fd).st_size
        head = os.pread(fd, _PREFIX, 0)
        tail = os.pread(fd, _SECTOR, max(0, size - _SECTOR))
        return facts_of(head, tail, size, stated, lambda count: os.pread(fd, count, 0))
    finally:
        if opened is None:
            os.close(fd)


def facts_of(
    head: bytes, tail: bytes, size: int, stated: str | None, more: Callable[[int], bytes] | None = None
) -> ImageFacts:
    """The same for an image that is not a file: its first 4096 bytes, its last 512, its length."""
    if stated not in (None, "raw", "qcow2"):
        raise BadFormat(f"Images of format {stated} are not taken", needed="raw or qcow2", had=stated)
    if stated == "raw":
        return ImageFacts(format="raw", virtual_size=size, file_size=size)
    if head[:4] == qcow2.MAGIC and head[4:8] != _QCOW_1:
        header = qcow2.parse_header(head, more)
        return ImageFacts(
            format="qcow2",
            virtual_size=header.size,
            file_size=size,
            version=header.version,
            backing_file=header.backing_file,
            data_file=header.data_file,
            incompatible=header.incompatible,
            encrypted=bool(header.encryption),
            snapshots=header.snapshots,
        )
    if stated == "qcow2":
        raise BadFormat("This is not a qcow2 image", needed="the qcow2 magic", had=repr(head[:4]))
    foreign = _foreign(head, tail)
    if foreign is not None:
        raise BadFormat(f"Images of format {foreign} are not taken", needed="raw or qcow2", had=foreign)
    return ImageFacts(format="raw", virtual_size=size, file_size=size)


def _foreign(head: bytes, tail: bytes) -> str | None:
    for at, magic, name in _FOREIGN:
        if head[at : at + len(magic)] == magic:
            return name
    return next((name for magic, name in _FOREIGN_TAIL if tail.startswith(magic)), None)


def refusals(facts: ImageFacts) -> list[str]:
    """Why the image must not be used; empty when it may."""
    found = []
    if facts.backing_file is not None:
        found.append("it stands on a backing file")
    if facts.data_file is not None:
        found.append("it keeps its data in another file")
    unknown = facts.incompatible & ~_KNOWN_FEATURES
    if unknown:
        found.append(f"it needs features nobody here knows (incompatible bits {unknown:#x})")
    if facts.incompatible >> qcow2.DIRTY & 1:
        found.append("it was not closed properly (repair it with qemu-img check -r all)")
    if facts.incompatible >> qcow2.CORRUPT & 1:
        found.append("it is marked corrupt")
    if facts.encrypted:
        found.append("it is encrypted by its format")
    if facts.snapshots:
        found.append(f"it has {facts.snapshots} internal snapshots")
    return found


def inspect(path: Path, stated: str | None = None, *, opened: int | None = None) -> ImageFacts:
    """The facts of an image that may be used; BadFormat names every reason why it may not."""
    facts = read_facts(path, stated, opened=opened)
    reasons = refusals(facts)
    if reasons:
        raise BadFormat(
            f"The image {path.name} is not acceptable: {', and '.join(reasons)}",
            needed="plain raw, or qcow2 that stands alone",
            had=facts.format,
        )
    return facts
