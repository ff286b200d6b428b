# SPDX-License-Identifier: Apache-2.0
"""The qcow2 header, read with bounds and written for new, empty images, so that making a volume or an overlay costs one small file and
no process. Must never read guest data, follow a name found in a header, or change an image that exists.

Layout of what `write_new` makes, in clusters of 64 KiB: 0 header, 1 refcount table, 2 refcount block, 3... the L1 table, all zero:
nothing is allocated, so everything reads from the backing file or as zeros. Version 3 (compat 1.1), 16-bit refcounts. Lazy refcounts
stay off: they trade a check after every crash for speed, and a crash must be boring here."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import msgspec

from breezeblock.model.errors import BadFormat

MAGIC = b"QFI\xfb"
CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS
#: Bytes of the disk that one entry of the L1 table maps: a cluster full of 8-byte L2 entries, each for one cluster.
_PER_L1_ENTRY = CLUSTER // 8 * CLUSTER
#: The largest L1 table that QEMU opens, 32 MiB: 2 PiB with this cluster size.
_MAX_L1 = 32 << 20

_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
_V3 = struct.Struct(">QQQII")
_END, _BACKING_FORMAT, _DATA_FILE, _FULL_DISK_ENCRYPTION = 0, 0xE2792ACA, 0x44415441, 0x0537BE77
#: The longest backing file name that the format allows.
_MAX_BACKING_NAME = 1023
#: Header extensions lie in the first cluster; no more than this is ever read of it (the largest cluster QEMU has is 2 MiB).
READ_LIMIT = 2 << 20

#: incompatible_features, by bit.
DIRTY, CORRUPT, EXTERNAL_DATA, COMPRESSION, EXTENDED_L2 = range(5)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a header says. `size` is the virtual size in bytes; `incompatible` the raw feature bits."""

    version: int
    size: int
    cluster_bits: int
    backing_file: str | None
    backing_format: str | None
    data_file: str | None
    incompatible: int
    encryption: int
    snapshots: int


def read_header(path: Path) -> Header:
    """Raises BadFormat when it is not a sane qcow2 header. Reads the first cluster at most."""
    with path.open("rb", buffering=0) as file:
        return parse_header(file.read(4096), lambda size: os.pread(file.fileno(), size, 0))


def parse_header(head: bytes, more: Callable[[int], bytes] | None = None) -> Header:
    """Parse from the first bytes of an image; `more(n)` gives its first n bytes when the header turns out to be longer."""
    if len(head) < _V2.size or head[:4] != MAGIC:
        raise BadFormat("This is not a qcow2 image", needed="the qcow2 magic", had=repr(head[:4]))
    (_, version, backing_at, backing_size, cluster_bits, size, encryption, l1_size, _, _, _, snapshots, _) = (
        _V2.unpack_from(head)
    )
    if version not in (2, 3):
        raise BadFormat("Unknown qcow2 version", needed="2 or 3", had=version)
    if not 9 <= cluster_bits <= 21:
        raise BadFormat("Impossible qcow2 cluster size", needed="9 to 21 bits", had=cluster_bits)
    if size > 1 << 62 or l1_size * 8 > _MAX_L1:
        raise BadFormat(
            "Impossible qcow2 size", needed=f"an L1 table of at most {_MAX_L1} bytes", had=l1_size * 8
        )
    incompatible, length = 0, _V2.size
    if version == 3:
        if len(head) < _V2.size + _V3.size:
            raise BadFormat("The qcow2 header is cut short", needed=_V2.size + _V3.size, had=len(head))
        incompatible, _, _, refcount_order, length = _V3.unpack_from(head, _V2.size)
        if refcount_order > 6 or not 104 <= length <= min(1 << cluster_bits, 4096) or length % 8:
            raise BadFormat(
                "Impossible qcow2 header length", needed="104 to 4096, a multiple of 8", had=length
            )
    cluster = 1 << cluster_bits
    if backing_at and (
        backing_size > _MAX_BACKING_NAME or backing_at < length or backing_at + backing_size > cluster
    ):
        raise BadFormat(
            "Impossible backing file name",
            needed=f"at most {_MAX_BACKING_NAME} bytes in the first cluster",
            had=backing_size,
        )
    end = backing_at or cluster
    if end + backing_size > len(head) and more is not None:
        head = more(min(end + backing_size, READ_LIMIT))
    extensions = _extensions(head, length, min(end, len(head)))
    name = head[backing_at : backing_at + backing_size] if backing_at else b""
    if len(name) != (backing_size if backing_at else 0):
        raise BadFormat("The qcow2 header is cut short", needed=backing_at + backing_size, had=len(head))
    data_file = extensions.get(_DATA_FILE)
    return Header(
        version=version,
        size=size,
        cluster_bits=cluster_bits,
        backing_file=os.fsdecode(name) if name else None,
        backing_format=_text(extensions.get(_BACKING_FORMAT)),
        data_file="(unnamed)"
        if data_file is None and incompatible >> EXTERNAL_DATA & 1
        else _text(data_file),
        incompatible=incompatible,
        encryption=encryption or (2 if _FULL_DISK_ENCRYPTION in extensions else 0),
        snapshots=snapshots,
    )


def _extensions(head: bytes, at: int, end: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while at + 8 <= end:
        kind, length = struct.unpack_from(">II", head, at)
        if kind == _END:
            return found
        if at + 8 + length > end:
            raise BadFormat(
                "A qcow2 header extension is too long", needed=f"at most {end - at - 8}", had=length
            )
        found[kind] = head[at + 8 : at + 8 + length]
        at += 8 + (length + 7 & ~7)
    return found


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("utf-8", "surrogateescape")


class Backing(msgspec.Struct, frozen=True):
    """The image below: its name relative to the overlay's folder, and its format (a stored fact: QEMU must not probe it)."""

    name: str
    format: str


def write_new(fd: int, size: int, backing: Backing | None = None) -> None:
    """Make the empty file `fd` an empty qcow2 image of `size` bytes. The caller syncs it."""
    if size <= 0 or size % 512:
        raise ValueError(f"a disk of {size} bytes cannot be")
    l1_entries = -(-size // _PER_L1_ENTRY)
    l1_clusters = -(-l1_entries * 8 // CLUSTER)
    if l1_entries * 8 > _MAX_L1:
        raise ValueError(f"a qcow2 image of {size} bytes needs a larger L1 table than QEMU opens")
    extensions, name = b"", b""
    if backing is not None:
        form, name = backing.format.encode(), os.fsencode(backing.name)
        if len(name) > _MAX_BACKING_NAME:
            raise ValueError("the backing file's name is too long")
        extensions = struct.pack(">II", _BACKING_FORMAT, len(form)) + form.ljust(
            -(-len(form) // 8) * 8, b"\0"
        )
    extensions += struct.pack(">II", _END, 0)
    length = 112  # 104 fixed bytes, the compression type (0: zlib), 7 bytes of padding
    header = _V2.pack(
        MAGIC, 3,
        length + len(extensions) if name else 0, len(name),
        CLUSTER_BITS, size, 0,
        l1_entries, 3 * CLUSTER,
        1 * CLUSTER, 1,
        0, 0,
    ) + _V3.pack(0, 0, 0, 4, length)  # fmt: skip
    os.pwrite(fd, header.ljust(length, b"\0") + extensions + name, 0)
    os.pwrite(fd, struct.pack(">Q", 2 * CLUSTER), CLUSTER)
    os.pwrite(fd, struct.pack(">H", 1) * (3 + l1_clusters), 2 * CLUSTER)
    os.ftruncate(fd, (3 + l1_clusters) * CLUSTER)


def is_untouched(path: Path) -> bool:
    """True when nothing was ever written to an image of `write_new`: it still is as long as that made it and its L1 table is all zero.
    Only to be asked of an image that nobody holds open."""
    with path.open("rb", buffering=0) as file:
        fields = _V2.unpack(file.read(_V2.size))
        l1_entries, l1_at = fields[7], fields[8]
        length = os.fstat(file.fileno()).st_size
        if l1_at != 3 * CLUSTER or length != (3 + -(-l1_entries * 8 // CLUSTER)) * CLUSTER:
            return False
        return not any(os.pread(file.fileno(), l1_entries * 8, l1_at))


def full_size(size: int) -> int:
    """The most bytes of disk an image of `size` virtual bytes can take: data, L2 tables (8 bytes for each cluster), refcounts (2), and
    the fixed clusters with one to round up each."""
    data = -(-size // CLUSTER) * CLUSTER
    return data + data // 8192 + data // 32768 + 8 * CLUSTER
