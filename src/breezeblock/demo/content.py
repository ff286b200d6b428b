# SPDX-License-Identifier: Apache-2.0
"""What the steps ask of the bytes in a volume, whoever runs them. Two answers: mounted.py (root, files in a file system) and streamed.py
(anybody, bytes over NBD)."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Seen(msgspec.Struct, frozen=True):
    """A checksum of all that is in a volume, with its bytes and a word on what they are."""

    sha256: str
    bytes: int
    what: str


class Written(msgspec.Struct, frozen=True):
    """What a writer that went on through a crash has to say."""

    bytes: int
    flushes: int
    #: The longest that one write and flush took, in seconds: the pause that a user of the disk felt.
    longest: float
    errors: tuple[str, ...]


class Content(Protocol):
    #: "as root, on a block device" or the like.
    way: str

    def attach_options(self, volume: str, *, new: bool) -> list[str]:
        """What to say to `breezeblock attach` besides the volume. `new`: it has no content yet."""
        ...

    def attached(self, volume: str, reached: str) -> None:
        """The volume is attached at a device or URI."""
        ...

    def detach_options(self) -> list[str]: ...

    def detached(self, volume: str) -> None: ...

    def fill(self, volume: str) -> int:
        """Write the first content; bytes written."""
        ...

    def change(self, volume: str) -> int: ...

    def digest(self, volume: str) -> Seen:
        """Read everything."""
        ...

    def settle(self, volume: str) -> None:
        """All that was written is on the disk, as a snapshot would find it."""
        ...

    def grow(self, volume: str, size: int) -> int:
        """The disk has grown to `size` bytes: use it; answers the bytes that are there now."""
        ...

    def start_writing(self, volume: str) -> None:
        """In the background: write, flush, and again, until told to stop."""
        ...

    def stop_writing(self, volume: str) -> Written:
        """Stop, and verify everything that a flush has promised."""
        ...

    def abandon(self) -> None:
        """Let go of everything, at once, without raising."""
        ...
