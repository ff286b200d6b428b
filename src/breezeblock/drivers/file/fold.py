# SPDX-License-Identifier: Apache-2.0
"""Two layers made one, so that chains do not grow for ever. Must never change what any name shows, at any moment, whoever dies; and must
give way at once to whoever wants to open a volume.

A layer P without a name and with one child C is only there for C. P and C become one file under C's name, in the cheaper of two ways:

  commit   C's bytes are written into P (qemu-img commit). C hides exactly those ranges of P, so nothing changes for C meanwhile. Then
           one rename puts P in C's place: names and children that refer to C find the same bytes there. Killed before the rename: C is
           untouched and P is what it was, where C does not hide it.
  rebase   P's bytes are copied into C, where C has none, by one program; then, when they are on stable storage, another makes C's
           header point below P. Killed before that: C shows the same, from itself instead of from P. Then P is unlinked as unneeded.
           (qemu-img rebase does both in one go, and writes the header before the tables: killed in between it loses P's bytes.)

Both take QEMU's own locks on the images they write to, so that a fold of anything that an exporter holds open fails, harmlessly. The
other way round, an exporter must not fail because of a fold: `give_way` (called when a volume or snapshot is handed out) notes the time
in the object's lock file, tells the fold to stop and waits until it has gone; a fold does not begin, nor end with the rename, when
something above it was handed out within HAND_OUT seconds. An attached volume's private layers are folded by the exporter itself
(Live.fold), which writes into the leaf: the way of a rebase.

Who folds P holds the file work/P.fold (locked by its process; a byte in it means stop), made under the tree's lock. Two folds that share
a layer never run at once: one would take away by its rename what the other's header is about to name."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from breezeblock.drivers.file.folder import id_of
from breezeblock.drivers.file.layers import Layers
from breezeblock.drivers.file.tree import Layer, Tree
from breezeblock.drivers.file.work import MOVER
from breezeblock.host import executor, files, qemu_img
from breezeblock.host.executor import Mover
from breezeblock.host.killpoint import reach
from breezeblock.model.call import Context
from breezeblock.model.errors import Busy, NoSpace, ProgramFailed
from breezeblock.model.reach import Live

#: Seconds from handing a path out until whoever asked for it has opened it.
HAND_OUT = 60.0
#: A child that takes more than this many times its parent stays where it is: the parent's bytes come up.
_MUCH = 4
#: Seconds that a fold may take to notice that it must stop, before it is killed.
_PATIENCE = 2.0


class _GiveWay(Exception):
    """Somebody wants to open what is being folded."""


class _Pair(msgspec.Struct, frozen=True):
    """What shall become one file. `mark` recognises the child: it must not have been written to when its place is taken; `inode` the
    parent: what takes that place must be the file that was filled."""

    parent: Layer
    child: Layer
    below: str | None
    mark: tuple[int, int, int]
    inode: int
    commits: bool


def fold(layers: Layers, file: str, ctx: Context) -> bool:
    """Fold the layer `file` with its child. False: it cannot be now (in use, no space, no longer needed); everything shows what it did."""
    with layers.locks.tree(ctx):
        pair = _plan(layers, file)
        if pair is None:
            return False
        marker = os.open(_marker(layers, file), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(marker, fcntl.LOCK_EX)
    try:
        return _move(layers, pair, marker, ctx)
    except (_GiveWay, Busy, NoSpace, FileNotFoundError):
        return False
    except ProgramFailed as failure:
        # Somebody has it open, or deleted it since it was planned.
        if (
            qemu_img.is_in_use(failure)
            or not layers.path(pair.child.file).exists()
            or not layers.path(file).exists()
        ):
            return False
        raise
    finally:
        _marker(layers, file).unlink(missing_ok=True)
        os.close(marker)


def _plan(layers: Layers, file: str) -> _Pair | None:
    tree = layers.reader.read()
    kids = tree.children.get(file, ())
    if (
        file not in tree.layers
        or tree.named.get(file)
        or len(kids) != 1
        or tree.unreadable
        or not _is_quiet(layers, tree, file)
    ):
        return None
    parent, child = tree.layers[file], tree.layers[kids[0]]
    if child.size < parent.size:
        return None  # never made here: volumes only grow
    if any(_marker(layers, near).exists() for near in (parent.file, child.file, parent.backing) if near):
        return None
    commits = parent.format == "qcow2" and child.allocated <= parent.allocated * _MUCH
    mark, inode = _mark(layers.path(child.file)), layers.path(parent.file).stat().st_ino
    return _Pair(parent, child, parent.backing, mark, inode, commits)


def _is_quiet(layers: Layers, tree: Tree, file: str) -> bool:
    """Nothing above was handed out a moment ago."""
    names = [name for layer in tree.above(file) for name in tree.named.get(layer, ())]
    return all(time.time() - layers.locks.handed_out(name) > HAND_OUT for name in names)


def _move(layers: Layers, pair: _Pair, marker: int, ctx: Context) -> bool:
    parent, child = layers.path(pair.parent.file), layers.path(pair.child.file)

    def check() -> None:
        ctx.check()
        if os.fstat(marker).st_size:
            raise _GiveWay

    record = Path(f"{_marker(layers, pair.parent.file)}{MOVER}")
    mover = Mover(Context(ctx.operation, ctx.fence, deadline=ctx.deadline, check=check), record)
    layers.space.require(
        pair.child.allocated if pair.commits else pair.parent.allocated, f"folding {pair.parent.file}"
    )
    with files.full_is_no_space(f"folding {pair.parent.file}", layers.folder.root):
        if not pair.commits:
            below = layers.reader.layer(pair.below) if pair.below else None
            qemu_img.pull_up(child, 1, mover, zeros=below is not None)
            files.sync_file(child)
            reach("file.fold.pulled")
            check()
            qemu_img.stand_on(child, pair.below, below.format if below else "")
            files.sync_file(child)
            reach("file.fold.rebased")
            layers.sweep([pair.parent.file], ctx)
            return True
        qemu_img.commit(child, mover)
        files.sync_file(parent)
    reach("file.fold.committed")
    with layers.locks.tree(ctx):
        check()
        tree = layers.reader.read()
        if (
            tree.named.get(pair.parent.file)
            or list(tree.children.get(pair.parent.file, ())) != [pair.child.file]
            or not _is_quiet(layers, tree, pair.parent.file)
            or files.written_by_others(child)
            or _mark(child) != pair.mark
            or parent.stat().st_ino != pair.inode
        ):
            return False
        parent.rename(child)
        reach("file.fold.renamed")
    files.sync_folder(layers.folder.layers)
    return True


def _mark(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _marker(layers: Layers, file: str) -> Path:
    return layers.folder.work / f"{file}.fold"


def give_way(layers: Layers, name: str) -> None:
    """Before a path is handed out: no fold of anything it stands on runs or begins for HAND_OUT seconds."""
    with layers.locks.tree():
        layers.locks.hand_out(name)
        layer = layers.layer(name)
        below = layer.backing if layer is not None else None
    while below is not None:
        _end_fold(layers, below)
        try:
            below = layers.reader.layer(below).backing
        except FileNotFoundError:
            # Folded into its child in this moment: begin again from the name.
            layer = layers.layer(name)
            below = layer.backing if layer is not None else None


def end_folds(layers: Layers, name: str) -> None:
    """Stop folds into a volume that is about to be changed."""
    layer = layers.layer(name)
    if layer is not None and layer.backing is not None:
        _end_fold(layers, layer.backing)


def _end_fold(layers: Layers, file: str) -> None:
    marker = _marker(layers, file)
    try:
        fd = os.open(marker, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.pwrite(fd, b"!", 0)
        limit = time.monotonic() + _PATIENCE
        while not _is_free(fd):
            if time.monotonic() > limit:
                executor.end_recorded(Path(f"{marker}{MOVER}"))  # its owner is stopped or hangs
                return
            time.sleep(0.01)
    finally:
        os.close(fd)


def _is_free(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno != errno.EWOULDBLOCK:
            raise
        return False
    return True


def fold_live(layers: Layers, live: Mapping[str, Live], ctx: Context) -> int:
    """Let exporters fold what lies privately below the leaves they hold. The caller holds the volumes' keys: no snapshot meanwhile."""
    folded = 0
    for name, leaf in layers.reader.read().names.items():
        port = live.get(id_of(name)) if name.startswith("volume-") else None
        if port is None or port.active() != str(layers.path(leaf)):
            continue
        tree = layers.reader.read()
        chain = tree.chain(leaf)
        private = [f for f in chain[1:] if not tree.named.get(f) and len(tree.children.get(f, ())) == 1]
        count = next((i for i, f in enumerate(chain[1:]) if f not in private), len(chain) - 1)
        if not count or tree.unreadable:
            continue
        base = chain[1 + count] if len(chain) > 1 + count else None
        layers.space.require(
            sum(tree.layers[f].allocated for f in chain[1 : 1 + count]), f"folding below {leaf}"
        )
        port.fold(str(layers.path(base)) if base else None)
        reach("file.fold.live")
        layers.sweep(chain[1 : 1 + count][:1], ctx)
        folded += count
    return folded
