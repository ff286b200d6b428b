# SPDX-License-Identifier: Apache-2.0
"""The tree of layers as it stands on disk: which layers there are, what each stands on, and which names point to them. Reads headers
and links only; must never change anything."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from breezeblock.drivers.driver import Kind
from breezeblock.drivers.file.folder import Folder, kind_of
from breezeblock.host import qcow2
from breezeblock.model.errors import BadFormat, BadSize

_LAYER = re.compile(r"volume-[0-9A-Za-z-]+\.[1-9][0-9]*\.(qcow2|raw)")


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One file of layers/. `format` is a fact told by its name, `backing` the file it stands on, `allocated` bytes of disk."""

    file: str
    format: str
    size: int
    allocated: int
    backing: str | None = None


def owner_of(file: str) -> str:
    """The volume whose leaf the layer is or was."""
    return file.split(".")[0]


def number_of(file: str) -> int:
    return int(file.split(".")[1])


def format_of(file: str) -> str:
    return file.rpartition(".")[2]


def successor(file: str) -> str:
    """The overlay that, if it is there, has taken over from the leaf `file`."""
    return f"{owner_of(file)}.{number_of(file) + 1}.qcow2"


def refuse_smaller(source: Layer, size: int) -> None:
    """Raises BadSize for a volume of `size` bytes that would not hold what its source shows."""
    if size < source.size:
        raise BadSize(
            "A volume cannot be smaller than its source",
            needed=f"at least {source.size} bytes",
            had=f"{size} bytes",
        )


class Tree(msgspec.Struct, frozen=True):
    """`names`: object name -> layer; a volume's name points to the layer that is active, also where its link is still behind."""

    layers: Mapping[str, Layer]
    names: Mapping[str, str]
    children: Mapping[str, Sequence[str]]
    named: Mapping[str, Sequence[str]]
    #: Layers whose header cannot be read. What they stand on is unknown, so nothing may be swept while there are any.
    unreadable: Sequence[str] = ()

    def chain(self, file: str) -> list[str]:
        """From the layer down to its base."""
        found = [file]
        while (
            (layer := self.layers.get(found[-1])) is not None
            and layer.backing is not None
            and layer.backing not in found
        ):
            found.append(layer.backing)
        return found

    def above(self, file: str) -> Iterator[str]:
        """The layer and all that stand on it."""
        yield file
        for child in self.children.get(file, ()):
            yield from self.above(child)


class TreeReader:
    """Reads trees; remembers the headers of layers whose file has not changed since."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[tuple[int, int, int], Layer]] = {}

    def layer(self, file: str) -> Layer:
        """One layer, from its header. FileNotFoundError when it is gone."""
        stat = os.stat(f"{self._folder.layers}/{file}")
        key = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        with self._lock:
            seen = self._seen.get(file)
        if seen is not None and seen[0] == key and seen[1].allocated == stat.st_blocks * 512:
            return seen[1]
        if format_of(file) == "qcow2":
            header = qcow2.read_header(self._folder.layers / file)
            backing = Path(header.backing_file).name if header.backing_file else None
            layer = Layer(
                file=file, format="qcow2", size=header.size, allocated=stat.st_blocks * 512, backing=backing
            )
        else:
            layer = Layer(file=file, format="raw", size=stat.st_size, allocated=stat.st_blocks * 512)
        with self._lock:
            self._seen[file] = (key, layer)
        return layer

    def read(self) -> Tree:
        """All of it. Exact under the tree's lock; without, a picture that may be a moment old."""
        layers: dict[str, Layer] = {}
        unreadable: list[str] = []
        for entry in os.scandir(self._folder.layers):
            if not _LAYER.fullmatch(entry.name):
                continue  # not ours
            try:
                layers[entry.name] = self.layer(entry.name)
            except FileNotFoundError:
                continue
            except BadFormat:
                unreadable.append(entry.name)
        with self._lock:
            for gone in self._seen.keys() - layers.keys():
                del self._seen[gone]
        names: dict[str, str] = {}
        for kind in Kind:
            for entry in os.scandir(self._folder.names(kind)):
                try:
                    target = os.readlink(entry.path).rpartition("/")[2]
                except FileNotFoundError:
                    continue
                while kind is Kind.VOLUME and (overlay := successor(target)) in layers:
                    target = overlay
                names[entry.name] = target
        return _tree(layers, names, unreadable)

    def next_number(self, owner: str) -> int:
        """A number that no layer of this volume has or had since it was swept; always above those that are there."""
        numbers = [
            number_of(entry.name)
            for entry in os.scandir(self._folder.layers)
            if entry.name.startswith(f"{owner}.") and _LAYER.fullmatch(entry.name)
        ]
        return max(numbers, default=0) + 1

    def target(self, name: str) -> str | None:
        """The layer that a name points to (for a volume: the active one), or None. May be dangling."""
        try:
            file = Path(os.readlink(self._folder.link(name))).name
        except FileNotFoundError:
            return None
        while kind_of(name) is Kind.VOLUME and (self._folder.layers / successor(file)).exists():
            file = successor(file)
        return file


def _tree(layers: Mapping[str, Layer], names: Mapping[str, str], unreadable: Sequence[str]) -> Tree:
    children: dict[str, list[str]] = {}
    for layer in layers.values():
        if layer.backing is not None:
            children.setdefault(layer.backing, []).append(layer.file)
    named: dict[str, list[str]] = {}
    for name, file in names.items():
        named.setdefault(file, []).append(name)
    return Tree(layers, names, children, named, unreadable)
