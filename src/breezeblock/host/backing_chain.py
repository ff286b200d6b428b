# SPDX-License-Identifier: Apache-2.0
"""Which files a qcow2 image stands on, read from the images' own headers, so that every node of a storage daemon is named with its
format and nothing is probed. Must never follow a header whose backing format is missing: guessing raw as qcow2 reads strangers' files."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import msgspec

from breezeblock.model import errors

_MAGIC = b"QFI\xfb"
_BACKING_FORMAT = 0xE2792ACA
_EXTERNAL_DATA = 1 << 2
#: Longer than any chain this service makes; a longer one is a loop or an attack.
_MOST_LAYERS = 256


class Layer(msgspec.Struct, frozen=True):
    """One image file (or block device) of a chain. `format` is "raw" or "qcow2"."""

    path: str
    format: str


def read_chain(path: str, format: str) -> Sequence[Layer]:
    """The layers from the active one down to the base. Paths are absolute and keep the spelling they were given in."""
    chain = [Layer(os.path.abspath(path), format)]
    while chain[-1].format == "qcow2":
        below = _backing(chain[-1].path)
        if below is None:
            break
        if len(chain) == _MOST_LAYERS or any(layer.path == below.path for layer in chain):
            raise errors.BadFormat(
                f"{path} stands on a chain without end",
                needed=f"at most {_MOST_LAYERS} layers",
                had=f"{below.path} again",
            )
        chain.append(below)
    return chain


def stored_backing(path: str) -> str | None:
    """The backing file exactly as the image's header spells it (often relative to the image)."""
    with Path(path).open("rb") as image:
        header = _header(image.read(104), path)
        if not header.length:
            return None
        image.seek(header.offset)
        return os.fsdecode(image.read(header.length))


class _Header(msgspec.Struct, frozen=True):
    offset: int
    length: int
    extensions: int


def _backing(path: str) -> Layer | None:
    try:
        with Path(path).open("rb") as image:
            start = image.read(65536)
    except FileNotFoundError as absent:
        raise errors.NotThere(f"A layer is missing: {path}", needed=path, had="no such file") from absent
    header = _header(start, path)
    if not header.length:
        return None
    name = os.fsdecode(start[header.offset : header.offset + header.length])
    format = _extension(start, header.extensions, _BACKING_FORMAT)
    if format not in (b"raw", b"qcow2"):
        raise errors.BadFormat(
            f"{path} does not say what format its backing file has",
            needed="raw or qcow2",
            had=format.decode() or "nothing",
        )
    return Layer(os.path.abspath(os.path.join(os.path.dirname(path), name)), format.decode())


def _header(start: bytes, path: str) -> _Header:
    if len(start) < 72 or start[:4] != _MAGIC:
        raise errors.BadFormat(
            f"{path} is not a qcow2 image", needed="the qcow2 magic", had=start[:4].hex() or "nothing"
        )
    version, offset, length = struct.unpack_from(">IQI", start, 4)
    if version not in (2, 3):
        raise errors.BadFormat(f"{path} has an unknown qcow2 version", needed="2 or 3", had=version)
    extensions = 72
    if version == 3:
        if struct.unpack_from(">Q", start, 72)[0] & _EXTERNAL_DATA:
            raise errors.BadFormat(
                f"{path} keeps its data in another file", needed="no external data file", had="one"
            )
        extensions = struct.unpack_from(">I", start, 100)[0]
    return _Header(offset=offset if length else 0, length=length, extensions=extensions)


def _extension(start: bytes, at: int, wanted: int) -> bytes:
    """A header extension's content; empty when it is not there. Extensions are padded to 8 bytes and end with type 0."""
    while at + 8 <= len(start):
        kind, length = struct.unpack_from(">II", start, at)
        if kind == 0:
            break
        if kind == wanted:
            return start[at + 8 : at + 8 + length]
        at += 8 + (length + 7) // 8 * 8
    return b""
