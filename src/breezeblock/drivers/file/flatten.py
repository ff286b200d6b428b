# SPDX-License-Identifier: Apache-2.0
"""A volume that shares nothing with its source: made by copying, when the source already stands on so many layers that one more would
cost every read. Owns the order: check, copy as a draft without any lock, publish under the lock. Must never publish what a newer owner
has not allowed."""

from __future__ import annotations

import os

from breezeblock.drivers.driver import Kind
from breezeblock.drivers.file.fold import give_way
from breezeblock.drivers.file.folder import id_of, kind_of
from breezeblock.drivers.file.layers import Layers
from breezeblock.drivers.file.tree import refuse_smaller
from breezeblock.host import files, qcow2, qemu_img
from breezeblock.host.killpoint import reach
from breezeblock.model.call import Context
from breezeblock.model.errors import NotThere

#: QEMU opens every file of a chain and looks through all of them for a hole.
DEEP = 64


def is_deep(layers: Layers, source: str, limit: int = DEEP) -> bool:
    layer = layers.layer(source)
    depth = 1
    while layer is not None and layer.backing is not None and depth < limit:
        layer, depth = layers.reader.layer(layer.backing), depth + 1
    return depth >= limit


def create_copy(layers: Layers, name: str, size: int, source: str, ctx: Context) -> None:
    """The volume `name` with a copy of what `source` shows."""
    with layers.locks.hold(name, ctx):
        if layers.layer(name) is not None:
            return
        layers.work.clear(name, ctx)
    if kind_of(source) is Kind.VOLUME:
        with layers.locks.hold_both(name, source, ctx):
            shown = layers.freeze(source, None, ctx)
    else:
        found = layers.layer(source)
        if found is None:
            raise NotThere(f"There is no {source}", needed=source, had="no such name")
        shown = found
    refuse_smaller(shown, size)
    total = sum(layers.reader.layer(file).allocated for file in layers.reader.read().chain(shown.file))
    layers.space.require(min(total, qcow2.full_size(shown.size)), f"volume {id_of(name)}")
    give_way(layers, source)
    format = "raw" if layers.clones else "qcow2"
    with layers.drafted(name, ctx) as draft:
        if format == "raw":
            os.ftruncate(draft.fd, size)
        else:
            qcow2.write_new(draft.fd, size)
        reach("file.copy.begun")
        qemu_img.convert(layers.path(shown.file), shown.format, draft.path, format, draft.mover, total=total)
        draft.sync()
        reach("file.copy.drafted")
        with layers.locks.hold(name, ctx), layers.locks.tree(ctx):
            layers.publish_leaf(name, draft, format)
        layers.sync_names(name)
    files.sync_folder(layers.folder.layers)
