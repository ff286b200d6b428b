# SPDX-License-Identifier: Apache-2.0
"""Which files a qcow2 image stands on, read from the images' own headers, so that every node of a storage daemon is named with its
format and nothing is probed. Must never follow a header whose backing format is missing: guessing raw as qcow2 reads strangers' files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from breezeblock.host.qcow2 import read_header
from breezeblock.model import errors

#: Longer than any chain this service makes; a longer one is a loop or an attack.
_MOST_LAYERS = 256


class Layer(msgspec.Struct, frozen=True):
    """One image file (or block device) of a chain. `format` is "raw" or "qcow2"."""

    path: str
    format: str


def read_chain(path: str, format: str) -> Sequence[Layer]:
    """The layers from the active one down to the base. Paths are absolute and keep the spelling they were given in (links are not
    followed), because a driver compares them."""
    chain = [Layer(os.path.abspath(path), format)]
    while True:
        below = _backing(chain[-1])
        if below is None:
            return chain
        if len(chain) == _MOST_LAYERS or any(layer.path == below.path for layer in chain):
            raise errors.BadFormat(
                f"{path} stands on a chain without end",
                needed=f"at most {_MOST_LAYERS} layers",
                had=f"{below.path} again",
            )
        chain.append(below)


def stored_backing(path: str) -> str | None:
    """The backing file exactly as the image's header spells it (often relative to the image)."""
    return read_header(Path(path)).backing_file


def _backing(layer: Layer) -> Layer | None:
    path = Path(layer.path)
    if not path.exists():
        raise errors.NotThere(f"A layer is missing: {path}", needed=layer.path, had="no such file")
    if layer.format != "qcow2":
        return None
    header = read_header(path)
    if header.data_file is not None:
        raise errors.BadFormat(
            f"{path} keeps its data in another file", needed="no external data file", had=header.data_file
        )
    if header.backing_file is None:
        return None
    if header.backing_format not in ("raw", "qcow2"):
        raise errors.BadFormat(
            f"{path} does not say what format its backing file has",
            needed="raw or qcow2",
            had=header.backing_format or "nothing",
        )
    return Layer(os.path.abspath(path.parent / header.backing_file), header.backing_format)
