# SPDX-License-Identifier: Apache-2.0
"""Which ranges of an object hold data, and which changed since a point in time below it. Must never answer less than what changed:
where the exact answer cannot be had it is a superset, and says so."""

from __future__ import annotations

from breezeblock.drivers.driver import Kind
from breezeblock.drivers.file.folder import kind_of
from breezeblock.drivers.file.layers import Layers
from breezeblock.drivers.file.tree import Layer, owner_of
from breezeblock.host import extent_map, files
from breezeblock.model.errors import Busy, NotThere, Unsupported
from breezeblock.model.extents import Extents


def extents(layers: Layers, name: str, since: str | None) -> Extents:
    """Raises Busy for a volume that is written to (its map is in its exporter's memory), Unsupported when `since` is not below it."""
    layer = _required(layers, name)
    path = layers.path(layer.file)
    if kind_of(name) is Kind.VOLUME and files.written_by_others(path):
        raise Busy(
            f"{name} is in use: what it holds changes while it is looked at",
            needed="an object nobody writes to",
            had="a writer",
            remedy="Take a checkpoint and ask that.",
        )
    base = _required(layers, since) if since is not None else None
    if layer.format == "raw":
        if base is None:
            return Extents(layer.size, extent_map.of_raw(path, layer.size))
        if base.format != "raw" or owner_of(base.file) != owner_of(layer.file):
            raise _unrelated(name, since)
        return Extents(
            layer.size, extent_map.differing(path, layers.path(base.file), layer.size), exact=False
        )
    depth = None
    if base is not None:
        chain = layers.reader.read().chain(layer.file)
        if base.file not in chain:
            raise _unrelated(name, since)
        depth = chain.index(base.file)
    # A whole cluster is copied up when a byte of it is written: right for what is held, a superset of what changed.
    return Extents(layer.size, extent_map.of_chain(path, layer.size, depth), exact=base is None)


def _required(layers: Layers, name: str) -> Layer:
    layer = layers.layer(name)
    if layer is None:
        raise NotThere(f"There is no {name}", needed=name, had="no such name")
    return layer


def _unrelated(name: str, since: str | None) -> Unsupported:
    return Unsupported(
        f"{name} does not stand on {since}",
        needed="a point in time of the same volume, not from before a revert",
        had="an unrelated one",
        remedy="Ask without since: everything that is allocated.",
    )
