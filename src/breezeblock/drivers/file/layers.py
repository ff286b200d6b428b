# SPDX-License-Identifier: Apache-2.0
"""Volumes, snapshots and checkpoints as layers: objects and references, as in git. Owns the order of steps in which layers are made,
named and dropped, so that a kill between any two of them loses nothing. Must never change a byte that a name other than a volume's shows,
and never keep a fact anywhere but in files, their headers and their names.

The tree. A layer is a file in layers/. A name is a symbolic link to one. The layer that a volume's name points to is its *leaf*: the
only kind of layer that is ever written to. All others are immutable. On a folder without reflinks layers are qcow2 files that stand on
one another:

      layers/                                            names
      volume-A.1 <── volume-A.2 <── volume-A.3           volumes/volume-A      -> volume-A.3     (leaf, written)
          ▲                                              snapshots/snapshot-S  -> volume-A.2
          └───────── volume-B.1                          volumes/volume-B      -> volume-B.1     (leaf, made from a snapshot
                                                         (volume-A.1: no name)                    that was deleted since)

A snapshot puts a new, empty overlay on the leaf and names what has thereby become immutable. A volume from a snapshot is an overlay on
that layer; a clone freezes the leaf of its source and puts two overlays on it. To delete a snapshot is to drop a name. A layer with no
name and no child is unlinked; one with no name and one child is folded together with it (fold.py), so that chains stay short. On a
folder with reflinks layers are raw files without parents and a snapshot is a clone of the leaf under a new number; all else is the same.

Publishing. New bytes are made in work/ (work.py), synced, and get their place in layers/ by one rename; then a link is swapped by
one rename. Both happen under the object's lock and its fence token (locks.py). What is not named yet is not there: a crash before the link
of a new object leaves a layer that start-up sweeps.

The point of no return. A volume's number only rises, and **once an overlay exists beside its parent it is the active layer**: if
`volume-A.4.qcow2` is there and the link still says `volume-A.3`, then A's leaf is volume-A.4, for every reader, from that rename on. So
recovery rolls forward, never back, and needs no journal. For an attached volume that order is what keeps data whole:

   1  volume-A.4 is made on volume-A.3, synced, renamed into place           <- point of no return
   2  the exporter is told to write to volume-A.4 (Live.snapshot), atomically for the guest
   3  only now the name snapshot-S -> volume-A.3 is made, and the volume's link swapped

Killed between 1 and 2, the guest goes on writing to volume-A.3 through the exporter, below an overlay that is empty: both show the same
bytes, and volume-A.3 has no name yet, so nobody is shown something that changes. The repeated snapshot first brings the exporter up to
the active layer (step 2) and then names volume-A.3. If the volume is detached first, volume-A.4 simply is what gets attached next.
Killed between 2 and 3, the repeated snapshot finds exporter and tree in agreement and puts one more overlay on; volume-A.3 is folded away.

A revert is the same with another parent: volume-A.4 is made on the snapshot's layer, and the former leaf is dropped after the swap."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from breezeblock.drivers.driver import Kind
from breezeblock.drivers.file.folder import Folder, id_of, kind_of
from breezeblock.drivers.file.locks import Locks
from breezeblock.drivers.file.space import OBJECT, Space
from breezeblock.drivers.file.tree import Layer, Tree, TreeReader, owner_of, refuse_smaller, successor
from breezeblock.drivers.file.work import Draft, Work
from breezeblock.host import files, qcow2, qemu_img, reflink
from breezeblock.host.killpoint import reach
from breezeblock.model.call import Context
from breezeblock.model.errors import Busy, NotThere
from breezeblock.model.reach import Live

#: Volumes are whole sectors.
SECTOR = 512


class Layers:
    """The tree of one folder. `clones`: new layers are raw files, frozen by cloning them."""

    def __init__(self, folder: Folder, space: Space, *, clones: bool) -> None:
        self.folder, self.space, self.clones = folder, space, clones
        self.locks, self.work, self.reader = Locks(folder.locks), Work(folder.work), TreeReader(folder)

    # What is there

    def layer(self, name: str) -> Layer | None:
        """The layer that a name shows; None when the name does not stand or its layer is not there (yet)."""
        for _ in range(8):  # a layer may be folded or a leaf replaced between the two looks
            file = self.reader.target(name)
            if file is None:
                return None
            with contextlib.suppress(FileNotFoundError):
                return self.reader.layer(file)
        return None

    def path(self, file: str) -> Path:
        return self.folder.layers / file

    def _required(self, name: str) -> Layer:
        layer = self.layer(name)
        if layer is None:
            raise NotThere(f"There is no {name} in {self.folder.root}", needed=name, had="no such name")
        return layer

    # New volumes

    def create(self, name: str, size: int, ctx: Context) -> None:
        """An empty volume: reads as zeros."""
        with self.locks.hold(name, ctx):
            if self.layer(name) is not None:
                return
            self.work.clear(name, ctx)
            self.space.require(OBJECT, f"volume {id_of(name)}")
            with self.drafted(name, ctx) as draft:
                if self.clones:
                    os.ftruncate(draft.fd, size)
                else:
                    qcow2.write_new(draft.fd, size)
                draft.sync()
                reach("file.create.drafted")
                with self.locks.tree(ctx):
                    self.publish_leaf(name, draft, "raw" if self.clones else "qcow2")
            self.sync_names(name)

    def create_from(self, name: str, size: int, source: str, ctx: Context) -> None:
        """A volume that begins with what `source` (a snapshot, a checkpoint, or a volume nobody writes to) shows now."""
        freezes = source if kind_of(source) is Kind.VOLUME else None
        with self.locks.hold_both(name, freezes, ctx):
            if self.layer(name) is not None:
                return
            self.work.clear(name, ctx)
            shown = self._required(source)
            refuse_smaller(shown, size)
            self.space.require(OBJECT, f"volume {id_of(name)}")
            if freezes is None or (self.clones and shown.format == "raw"):
                with self.drafted(name, ctx) as draft, self.locks.tree(ctx):
                    self._stand_on(draft, self._required(source), size)
                    reach("file.create-from.drafted")
                    self.publish_leaf(name, draft, self._format_on(shown))
            else:
                self._require_promise(shown, f"a clone of {source}")
                with self.drafted(name, ctx) as draft, self._frozen(source, None, ctx) as frozen:
                    self._stand_on(draft, frozen, size)
                    self.publish_leaf(name, draft, "qcow2")
                self.sync_names(source)
            self.sync_names(name)

    def publish_leaf(self, name: str, draft: Draft, format: str) -> None:
        """Under the tree's lock, so that a sweep never meets a layer between its rename and its name."""
        file = f"{name}.{self.reader.next_number(name)}.{format}"
        draft.publish(self.path(file))
        reach("file.leaf.placed")
        self.point(name, file)
        reach("file.leaf.named")

    # Points in time

    def snapshot(self, volume: str, name: str, live: Live | None, ctx: Context) -> None:
        """`name` (a snapshot or checkpoint) shows from now on what the volume shows now."""
        with self.locks.hold_both(name, volume, ctx):
            if self.layer(name) is not None:
                return
            self.work.clear(name, ctx)
            leaf = self._required(volume)
            self.space.require(OBJECT, f"{name}")
            self._require_promise(leaf, name)
            if self.clones and leaf.format == "raw":
                self._snapshot_by_clone(volume, leaf, name, ctx)
            else:
                with self._frozen(volume, live, ctx, draft_of=name) as frozen:
                    self.point(name, frozen.file)
                reach("file.snapshot.named")
            self.sync_names(name)
            self.sync_names(volume)

    def _snapshot_by_clone(self, volume: str, leaf: Layer, name: str, ctx: Context) -> None:
        with self.drafted(name, ctx) as draft:
            self._clone(leaf, draft)
            draft.sync()
            reach("file.snapshot.drafted")
            with self.locks.tree(ctx):
                file = f"{volume}.{self.reader.next_number(volume)}.raw"
                draft.publish(self.path(file))
                reach("file.snapshot.placed")
                self.point(name, file)

    @contextlib.contextmanager
    def _frozen(self, volume: str, live: Live | None, ctx: Context, draft_of: str = "") -> Iterator[Layer]:
        """The volume's present bytes as a layer, with the tree's lock held until it has a name or a child: before that it has one child
        and no name, which is what a fold looks for. One that was quicker has put the bytes back into the leaf; then again."""
        for _ in range(8):
            frozen = self.freeze(volume, live, ctx, draft_of)
            with self.locks.tree(ctx):
                if self.path(frozen.file).exists():
                    yield frozen
                    return
        raise Busy(f"{volume} is being tidied", needed="a moment without a fold", had="8 folds in a row")

    def freeze(self, volume: str, live: Live | None, ctx: Context, draft_of: str = "") -> Layer:
        """Make the volume's present bytes an immutable layer and return it; the volume goes on in an overlay. The caller holds the
        volume's lock. `draft_of`: the name that the frozen layer will get; without one, any layer that shows the same will do."""
        leaf = self._required(volume)
        if live is not None:
            if live.active() != str(self.path(leaf.file)):
                live.snapshot(
                    str(self.path(leaf.file))
                )  # a predecessor died between placing the overlay and the switch
                self._bring_forward(volume, leaf, ctx)
                if leaf.backing is not None:
                    return self.reader.layer(leaf.backing)
        else:
            self._require_unwritten(volume, leaf)
            below = self._same_below(leaf)
            if below is not None and (not draft_of or owner_of(below.file) == volume):
                self._bring_forward(volume, leaf, ctx)
                return below
        with self.drafted(draft_of or volume, ctx) as draft:
            qcow2.write_new(draft.fd, leaf.size, qcow2.Backing(leaf.file, leaf.format))
            draft.sync()
            reach("file.freeze.drafted")
            overlay = successor(leaf.file)
            with self.locks.tree(ctx):
                draft.publish(self.path(overlay))
            # Durable before anybody writes to it: a guest's flush must not depend on a name that a power cut can lose.
            files.sync_folder(self.folder.layers)
        reach("file.freeze.placed")
        if live is not None:
            live.snapshot(str(self.path(overlay)))
        reach("file.freeze.switched")
        with self.locks.tree(ctx):
            self.point(volume, overlay)
        return self.reader.layer(leaf.file)

    def _same_below(self, leaf: Layer) -> Layer | None:
        """The layer below, when nothing was written since the leaf was put on it."""
        if leaf.backing is None or leaf.format != "qcow2" or not qcow2.is_untouched(self.path(leaf.file)):
            return None
        below = self.reader.layer(leaf.backing)
        return below if below.size == leaf.size else None

    def revert(self, volume: str, to: str, ctx: Context) -> None:
        """The volume shows what the snapshot shows; it keeps its size when that is larger."""
        with self.locks.hold(volume, ctx):
            self.work.clear(volume, ctx)
            leaf = self._required(volume)
            self._require_unwritten(volume, leaf)
            self.space.require(OBJECT, f"the revert of {volume}")
            with self.drafted(volume, ctx) as draft, self.locks.tree(ctx):
                shown = self._required(to)
                self._stand_on(draft, shown, max(leaf.size, shown.size))
                reach("file.revert.drafted")
                if self._format_on(shown) == "qcow2":
                    draft.publish(self.path(successor(leaf.file)))
                    reach("file.revert.placed")
                    self.point(volume, successor(leaf.file))
                else:
                    draft.publish(self.path(leaf.file))
                    reach("file.revert.placed")
            self.sync_names(volume)
            reach("file.revert.named")
            self.sweep([leaf.file], ctx)

    def extend(self, volume: str, size: int, live: Live | None, ctx: Context) -> None:
        """Never shrinks. `live` resizes through whoever holds the file open."""
        with self.locks.hold(volume, ctx):
            leaf = self._required(volume)
            path = self.path(leaf.file)
            if live is not None and live.active() != str(path):
                live.snapshot(str(path))  # as in freeze
            if size <= leaf.size:
                return
            if live is not None:
                live.resize(size)
            elif leaf.format == "raw":
                os.truncate(path, size)  # also under a loop device: its target tells it
            else:
                self._require_unwritten(volume, leaf)
                qemu_img.resize(path, size)
            reach("file.extend.grown")
            files.sync_file(path)

    # Dropping

    def delete(self, name: str, ctx: Context) -> list[str]:
        """Drop the name, and every layer that nothing needs any more. Absent is success. Returns the layers that are left without a
        name with one child: what fold.py may fold."""
        with self.locks.hold(name, ctx):
            self.work.clear(name, ctx)
            link = self.folder.link(name)
            file = self.reader.target(name)
            if file is None:
                return []
            if kind_of(name) is Kind.VOLUME:
                self._require_unwritten(name, self.layer(name))
            starts = [file, Path(os.readlink(link)).name]
            with self.locks.tree(ctx):
                link.unlink(missing_ok=True)
            files.sync_folder(link.parent)
            reach("file.delete.unnamed")
            return self.sweep(starts, ctx)

    def sweep(self, starts: list[str] | None, ctx: Context) -> list[str]:
        """Unlink what nothing needs, from `starts` (None: everywhere) downwards. Returns what could be folded on the way."""
        unlinked, foldable = [], []
        with self.locks.tree(ctx):
            tree = self.reader.read()
            if tree.unreadable:
                return []
            children = {file: set(kids) for file, kids in tree.children.items()}
            todo = (
                list(tree.layers)
                if starts is None
                else [*starts, *(file for start in starts for file in tree.children.get(start, ()))]
            )
            while todo:
                file = todo.pop()
                if file not in tree.layers or file in unlinked or tree.named.get(file):
                    continue
                kids = children.get(file, set())
                if kids:
                    doomed = [kid for kid in kids if not tree.named.get(kid) and not children.get(kid)]
                    if doomed:  # still there: another sweep is about to unlink them, and has left this layer to whoever comes last
                        todo += doomed
                    elif len(kids) == 1:
                        foldable.append(file)
                    continue
                unlinked.append(file)
                backing = tree.layers[file].backing
                if backing is not None:
                    children[backing].discard(file)
                    todo.append(backing)
        # Outside the lock: nothing can come to need them, and to unlink a large file takes time. Children before their parents.
        for file in unlinked:
            self.path(file).unlink(missing_ok=True)
            reach("file.sweep.unlinked")
        return [file for file in dict.fromkeys(foldable) if file not in unlinked]

    # After a crash

    def recover(self, ctx: Context) -> list[str]:
        """Bring links up to their active layers, drop what is neither named nor needed, and drafts of the dead. Returns what may be
        folded."""
        with self.locks.tree(ctx):
            self.work.clear_dead()
            for name, file in self.reader.read().names.items():
                if Path(os.readlink(self.folder.link(name))).name != file:
                    self.point(name, file)
                    files.sync_folder(self.folder.link(name).parent)
        self.locks.sweep(self.is_named)
        return self.sweep(None, ctx)

    def is_named(self, name: str) -> bool:
        return self.folder.link(name).is_symlink()

    # Small steps

    @contextlib.contextmanager
    def drafted(self, name: str, ctx: Context) -> Iterator[Draft]:
        with files.full_is_no_space(f"making {name}", self.folder.root), self.work.draft(name, ctx) as draft:
            yield draft

    def _format_on(self, below: Layer) -> str:
        return "raw" if self.clones and below.format == "raw" else "qcow2"

    def _stand_on(self, draft: Draft, below: Layer, size: int) -> None:
        """Fill the draft with a writable layer of `size` bytes that shows what `below` shows."""
        if self._format_on(below) == "raw":
            self._clone(below, draft)
            os.ftruncate(draft.fd, size)
        else:
            qcow2.write_new(draft.fd, size, qcow2.Backing(below.file, below.format))
        draft.sync()

    def _clone(self, layer: Layer, draft: Draft) -> None:
        source = os.open(self.path(layer.file), os.O_RDONLY | os.O_CLOEXEC)
        try:
            reflink.clone(source, draft.fd)
        finally:
            os.close(source)

    def point(self, name: str, file: str) -> None:
        files.point(self.folder.link(name), f"../layers/{file}", self.folder.work / f"{name}.link")

    def _bring_forward(self, volume: str, leaf: Layer, ctx: Context) -> None:
        with self.locks.tree(ctx):
            self.point(volume, leaf.file)

    def sync_names(self, name: str) -> None:
        files.sync_folder(self.folder.layers)
        files.sync_folder(self.folder.link(name).parent)

    def _require_unwritten(self, name: str, leaf: Layer | None) -> None:
        """Refuse to work behind the back of whoever has the volume open. An exporter that was not switched to the leaf yet (see the head of
        this file) writes to the layer below; a layer below that some exporter only keeps open is no reason."""
        if leaf is None:
            return
        below = self.path(leaf.backing) if leaf.backing is not None else None
        if files.written_by_others(self.path(leaf.file)) or (below is not None and files.qemu_writes(below)):
            raise Busy(
                f"{name} is in use: another process holds it open for writing",
                needed="nobody writing to it",
                had=f"a writer of {leaf.file}",
                remedy="Detach the volume first; to copy an attached one, take a snapshot and use that.",
            )

    def _require_promise(self, leaf: Layer, what: str) -> None:
        if leaf.allocated > OBJECT:
            self.space.require_promise(self.reader.read(), leaf.allocated, what)

    def tree(self) -> tuple[float, Tree]:
        """When the look began, and the tree."""
        begun = time.time()
        return begun, self.reader.read()
