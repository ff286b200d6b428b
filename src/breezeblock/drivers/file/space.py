# SPDX-License-Identifier: Apache-2.0
"""How much there is and how much is promised. Owns the refusals for low space; must never delete anything to make room.

What may still be written (the *growth*) is what every volume's writable layer can become minus what it takes now; layers below never
grow. With `allocated` for all layers, allocated + growth is the provisioned figure: the disk in the worst case. `total` counts only what
this folder has or could have (free + allocated), not what strangers keep on the same file system. So provisioned <= total x 1.0 means
that no guest can ever meet a full disk. A snapshot makes the volume's present bytes permanent and promises them once more, which the
scheduler never sees: it is checked here."""

from __future__ import annotations

import os

import msgspec

from breezeblock.drivers.file.folder import Folder
from breezeblock.drivers.file.tree import Layer, Tree
from breezeblock.host import qcow2
from breezeblock.model.errors import NoSpace
from breezeblock.model.units import GiB, human

#: The smallest cost of a new object: a header, tables, links, and their folders' blocks.
OBJECT = 512 << 10


class Use(msgspec.Struct, frozen=True):
    """Bytes: what the layers take, and what they may still take."""

    allocated: int
    growth: int


class Space:
    def __init__(self, folder: Folder, keep_free: int | None, ratio: float) -> None:
        self._folder, self._keep_free, self.ratio = folder, keep_free, ratio

    def keep_free(self) -> int:
        """Bytes that stay free for the file system and the host: as configured, or 5 % of a small disk and 1 GiB of any other."""
        if self._keep_free is not None:
            return self._keep_free
        stat = os.statvfs(self._folder.root)
        return min(GiB, stat.f_blocks * stat.f_frsize // 20)

    def free(self) -> int:
        """Bytes that new data may take."""
        stat = os.statvfs(self._folder.root)
        return max(0, stat.f_bavail * stat.f_frsize - self.keep_free())

    def require(self, needed: int, what: str) -> None:
        """Raises NoSpace before anything is changed."""
        free = self.free()
        if free < needed:
            raise NoSpace(
                f"Too little space for {what}",
                needed=f"{human(needed)} above the {human(self.keep_free())} that stay free",
                had=human(free),
                needed_bytes=needed,
                had_bytes=free,
                folder=str(self._folder.root),
            )

    def require_promise(self, tree: Tree, more: int, what: str) -> None:
        """Raises NoSpace when `more` bytes of growth could fill the disk under a guest (at the configured over-subscription)."""
        free, use = self.sample(tree)
        limit = int((free + use.allocated) * self.ratio)
        promised = use.allocated + use.growth + more
        if promised > limit:
            raise NoSpace(
                f"Too little space for {what}: guests could fill the disk",
                needed=f"{human(promised)} for all that is promised",
                had=f"{human(limit)} (over-subscription {self.ratio:g})",
                remedy="Free space, add a pool, or allow more over-subscription if you watch the disk.",
                needed_bytes=promised,
                had_bytes=limit,
            )

    def sample(self, tree: Tree) -> tuple[int, Use]:
        """What is free, and what is used. Clones share bytes that count in each of them: the file system knows the sum; the difference is
        what the clones may still cost."""
        use = use_of(tree)
        stat = os.statvfs(self._folder.root)
        taken = min(use.allocated, (stat.f_blocks - stat.f_bfree) * stat.f_frsize)
        return self.free(), Use(taken, use.growth + use.allocated - taken)


def use_of(tree: Tree) -> Use:
    leaves = {file for name, file in tree.names.items() if name.startswith("volume-")}
    growth = sum(growth_of(tree.layers[file]) for file in leaves if file in tree.layers)
    return Use(sum(layer.allocated for layer in tree.layers.values()), growth)


def growth_of(leaf: Layer) -> int:
    """What a writable layer may still take. A cloned raw file may have to take all of its size again: its bytes may be shared, and what
    is shared is counted in the other file."""
    full = qcow2.full_size(leaf.size) if leaf.format == "qcow2" else leaf.size
    return max(0, full - leaf.allocated)
