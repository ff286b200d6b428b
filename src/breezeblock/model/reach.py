# SPDX-License-Identifier: Apache-2.0
"""How a volume's bytes are reached on the storage host, and the port to the process that holds them open. Drivers answer a Reach,
targets accept kinds of it: driver x target is composition. Must never hold behaviour."""

from __future__ import annotations

from typing import Protocol

import msgspec


class FileReach(msgspec.Struct, frozen=True, tag="file"):
    """A file on the storage host. `format` is a stored fact ("raw" or "qcow2"), never probed."""

    path: str
    format: str


class BlockReach(msgspec.Struct, frozen=True, tag="block"):
    """A block device of the storage host."""

    path: str


Reach = FileReach | BlockReach


class Live(Protocol):
    """The process that holds a volume's file open (given by the target of its export). Every call is idempotent."""

    def active(self) -> str:
        """The path of the file that now takes the writes."""
        ...

    def snapshot(self, overlay: str) -> None:
        """Flush, and from now on write to `overlay` (an existing qcow2 whose backing file is `active()`). Atomic for the writer."""
        ...

    def resize(self, size: int) -> None:
        """Make the open image `size` bytes long and tell who uses it. Raises Unsupported where the path cannot."""
        ...

    def fold(self, base: str | None) -> None:
        """Pull what lies between `active()` and `base` (None: everything below) into the active file, then drop it from the chain."""
        ...
