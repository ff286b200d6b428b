# SPDX-License-Identifier: Apache-2.0
"""The storage folder: what lies where, how things are named, and the marker that says whose it is. Owns paths and names; must never
hold content, and never work in a folder whose marker is missing: an unmounted disk leaves an empty folder that looks just like a new one.

    breezeblock.json        the marker: format, backend, whether files are cloned here (tried once, then a fact)
    volumes/  snapshots/  checkpoints/      names: symbolic links to layers
    layers/                 the bytes: <volume's name>.<number>.<qcow2|raw>
    work/                   not published yet: <name>.<operation>.<fence>, and records of running movers
    locks/                  one file a name: its lock, and in it the highest fence token seen
    adopt/                  where people put files that shall become volumes"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import msgspec

from breezeblock.drivers.driver import Kind
from breezeblock.host import files, reflink
from breezeblock.model.errors import Error, Failed, Malformed, Unreachable

FORMAT = 1
MARKER = "breezeblock.json"
_PARTS = ("volumes", "snapshots", "checkpoints", "layers", "work", "locks", "adopt")
_NAME = re.compile(r"(volume|snapshot|checkpoint)-[0-9A-Za-z-]{1,64}")


class Marker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`clones`: files are cloned (raw, FICLONE); otherwise overlays are used (qcow2). Never changes after the first start, because the
    formats of what lies in the folder follow from it."""

    format: int
    backend_id: str
    clones: bool


def object_name(id: str, kind: Kind) -> str:
    """The external name of an object; refuses ids that are no file names."""
    return checked(f"{kind.value}-{id}")


def checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Malformed(
            "This is not the name of a volume, snapshot or checkpoint",
            needed="volume-UUID and the like",
            had=repr(name),
        )
    return name


def kind_of(name: str) -> Kind:
    return Kind(name.partition("-")[0])


def id_of(name: str) -> str:
    return name.partition("-")[2]


@contextlib.contextmanager
def _full_is_fine() -> Iterator[None]:
    """A full disk is served as it is: how else could anything on it be deleted?"""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


class Folder:
    """Paths below one root. `root` is absolute and free of links, so that a path given to an exporter stays the same string."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self.layers, self.work, self.locks, self.adopt = (self.root / part for part in _PARTS[3:])
        self._names = {
            Kind.VOLUME: self.root / "volumes",
            Kind.SNAPSHOT: self.root / "snapshots",
            Kind.CHECKPOINT: self.root / "checkpoints",
        }

    def names(self, kind: Kind) -> Path:
        return self._names[kind]

    def link(self, name: str) -> Path:
        """Where the name stands."""
        return self._names[kind_of(checked(name))] / name

    def open(self, backend_id: str) -> Marker:
        """Make the folder or recognise it. Errors say what to mend."""
        try:
            marker = self._read_marker() or self._make(backend_id)
            for part in _PARTS:
                (self.root / part).mkdir(mode=0o700, exist_ok=True)
            probe = self.work / f".writable.{os.getpid()}"
            with _full_is_fine():
                probe.touch()
            probe.unlink(missing_ok=True)  # another process that starts clears it as a dead owner's
        except OSError as error:
            raise Failed(
                f"The storage folder {self.root} cannot be used: {error.strerror}",
                needed="a folder that this user may write to",
                had=f"{type(error).__name__} on {error.filename}",
                remedy=f"Create {self.root} for this user (or mount it), or configure another folder.",
            ) from error
        if backend_id and marker.backend_id != backend_id:
            raise Failed(
                f"The storage folder {self.root} belongs to another backend",
                needed=f"backend {backend_id}",
                had=f"backend {marker.backend_id}",
                remedy="Give each backend a folder of its own.",
            )
        return marker

    def _read_marker(self) -> Marker | None:
        path = self.root / MARKER
        try:
            marker = msgspec.json.decode(path.read_bytes(), type=Marker)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise Failed(
                f"The marker {path} cannot be read: {error}",
                remedy="Restore it; its fields are in drivers/file/folder.py.",
            ) from error
        if marker.format != FORMAT:
            raise Failed(
                f"The storage folder {self.root} was made by another version",
                needed=f"format {FORMAT}",
                had=f"format {marker.format}",
                remedy="Run the version that made it, or a newer one.",
            )
        clones = marker.clones
        with _full_is_fine():
            clones = clones and reflink.works(self.root)
        if marker.clones and not clones:
            raise Failed(
                f"The storage folder {self.root} no longer lies on a file system that clones files",
                needed="xfs or btrfs, as when it was made",
                had="a file system without FICLONE",
                remedy="Mount the file system that it was made on.",
            )
        return marker

    def _make(self, backend_id: str) -> Marker:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        strangers = sorted(set(os.listdir(self.root)) - {"lost+found", *_PARTS})
        held = [part for part in _PARTS[:4] if (self.root / part).is_dir() and os.listdir(self.root / part)]
        if strangers or held:
            raise Failed(
                f"The folder {self.root} is not empty and carries no marker",
                needed="an empty folder, or one that this service made",
                had=", ".join([*strangers[:5], *held]),
                remedy="Choose an empty folder (or restore its breezeblock.json).",
            )
        marker = Marker(format=FORMAT, backend_id=backend_id or str(uuid4()), clones=reflink.works(self.root))
        files.write_whole(self.root / MARKER, msgspec.json.encode(marker) + b"\n")
        return marker

    def require_there(self) -> None:
        """Raises Unreachable when the folder is not mounted (or was taken away): nothing may be concluded from its emptiness."""
        problem = self.unreachable()
        if problem is not None:
            raise problem

    def unreachable(self) -> Error | None:
        try:
            os.stat(self.root / MARKER)
        except OSError as error:
            if error.errno not in (
                errno.ENOENT,
                errno.ENOTDIR,
                errno.EIO,
                errno.ESTALE,
                errno.EACCES,
                errno.ENOTCONN,
            ):
                raise
            return Unreachable(
                f"The storage folder {self.root} is not there: {error.strerror}",
                needed=MARKER,
                remedy="Mount it; the work goes on by itself.",
            )
        return None
