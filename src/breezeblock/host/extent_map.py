# SPDX-License-Identifier: Apache-2.0
"""Where a file's data lies: logically (holes), in a chain of qcow2 layers, and physically (which blocks two cloned files still share).
Reads metadata only, never data."""

from __future__ import annotations

import bisect
import fcntl
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from breezeblock.host import files, qemu_img
from breezeblock.model.extents import Extent, ExtentKind, merged

#: _IOWR('f', 11, struct fiemap)
_FIEMAP = 0xC020660B
_SYNC = 0x1
_LAST, _UNKNOWN, _DELALLOC, _ENCODED, _DATA_ENCRYPTED, _NOT_ALIGNED, _INLINE, _TAIL, _UNWRITTEN = (
    0x1, 0x2, 0x4, 0x8, 0x80, 0x100, 0x200, 0x400, 0x800,
)  # fmt: skip
#: The physical address of such an extent does not tell what its bytes are.
_VAGUE = _UNKNOWN | _DELALLOC | _ENCODED | _DATA_ENCRYPTED | _NOT_ALIGNED | _INLINE | _TAIL
_HEAD = struct.Struct("=QQLLLL")
_EXTENT = struct.Struct("=QQQ16xL12x")
_BATCH = 512


class Block(msgspec.Struct, frozen=True):
    """A run of a file on its device, all in bytes. `physical` is None where it does not tell anything."""

    offset: int
    length: int
    physical: int | None
    unwritten: bool = False

    @property
    def end(self) -> int:
        return self.offset + self.length


def of_raw(path: Path, size: int) -> list[Extent]:
    """What is not a hole."""
    with path.open("rb", buffering=0) as file:
        return [Extent(start, end - start) for start, end in files.data_ranges(file.fileno(), size)]


def of_chain(path: Path, size: int, depth: int | None) -> list[Extent]:
    """What a qcow2 layer and the chain below it hold; with `depth` only what lies in the first `depth` layers, zeros included."""
    found = []
    for entry in qemu_img.map_chain(path, "qcow2"):
        # Beyond the end of a shorter layer below, zeros are not `present`; they still belong to the layer that is that long.
        inside = entry.present if depth is None else entry.depth < depth
        if not inside or entry.start >= size:
            continue
        kind = ExtentKind.DATA if entry.data and not entry.zero else ExtentKind.ZERO
        found.append(Extent(entry.start, min(entry.length, size - entry.start), kind))
    return merged(found)


def blocks(fd: int) -> Iterator[Block]:
    """The file's runs on its device, after its dirty pages are written out."""
    at, last = 0, False
    while not last:
        request = bytearray(
            _HEAD.pack(at, (1 << 64) - 1 - at, _SYNC, 0, _BATCH, 0) + bytes(_BATCH * _EXTENT.size)
        )
        fcntl.ioctl(fd, _FIEMAP, request)
        count = _HEAD.unpack_from(request)[3]
        if count == 0:
            return
        for index in range(count):
            offset, physical, length, flags = _EXTENT.unpack_from(request, _HEAD.size + index * _EXTENT.size)
            yield Block(offset, length, None if flags & _VAGUE else physical, bool(flags & _UNWRITTEN))
            at, last = offset + length, bool(flags & _LAST)


def differing(new: Path, old: Path, size: int) -> list[Extent]:
    """Where `new` may differ from `old`, its clone from before: wherever they do not share the same block. Blocks of `old` are held by it,
    so an equal address means equal bytes. A superset: what was rewritten with the same bytes is named too."""
    with new.open("rb", buffering=0) as after, old.open("rb", buffering=0) as before:
        mine, theirs = list(blocks(after.fileno())), list(blocks(before.fileno()))
    shared = [(block.offset, block.end, block.physical) for block in theirs if block.physical is not None]
    changed = [Extent(start, end - start) for block in mine for start, end in _unshared(block, shared)]
    holes = [Extent(start, end - start, ExtentKind.ZERO) for start, end in _gone(mine, theirs)]
    return merged(_clipped([*changed, *holes], size))


def _unshared(block: Block, shared: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    """Parts of a run that no run of the other file has at the same place, on the device and in the file."""
    at = block.offset
    index = max(0, bisect.bisect_right(shared, (at, 1 << 64, 0)) - 1)
    while at < block.end and index < len(shared):
        start, end, physical = shared[index]
        index += 1
        if start >= block.end:
            break
        if end <= at or block.physical is None or physical - start != block.physical - block.offset:
            continue
        if start > at:
            yield at, start
        at = min(end, block.end)
    if at < block.end:
        yield at, block.end


def _gone(mine: Sequence[Block], theirs: Sequence[Block]) -> Iterator[tuple[int, int]]:
    """Where the old file has a run and the new one a hole: the new one reads zeros there."""
    index = 0
    for block in theirs:
        at = block.offset
        while index < len(mine) and mine[index].end <= at:
            index += 1
        look = index
        while at < block.end and look < len(mine) and mine[look].offset < block.end:
            if mine[look].offset > at:
                yield at, mine[look].offset
            at = max(at, mine[look].end)
            look += 1
        if at < block.end:
            yield at, block.end


def _clipped(extents: Sequence[Extent], size: int) -> list[Extent]:
    return [Extent(e.offset, min(e.length, size - e.offset), e.kind) for e in extents if e.offset < size]
