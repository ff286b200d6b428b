# SPDX-License-Identifier: Apache-2.0
"""A file that is there becomes a volume. Owns what may be taken and how it is taken in; must never probe (an inspector reads the header,
and a stated format is a fact), never follow a name found in a header, and never lose the file: it is always either where it was or a
volume, and its name stands before it moves, so that no sweep meets it unnamed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from breezeblock.drivers.file.layers import SECTOR, Layers
from breezeblock.drivers.file.tree import Layer
from breezeblock.host import files
from breezeblock.host.killpoint import reach
from breezeblock.model.call import Context
from breezeblock.model.errors import BadFormat, BadRequest, Busy, Failed, NotThere


class Facts(Protocol):
    """What an inspector says of an image it found acceptable."""

    @property
    def format(self) -> str: ...

    @property
    def virtual_size(self) -> int: ...


#: Reads the header of an image (of a stated format, or None) and raises BadFormat for what must not be used.
Inspect = Callable[[Path, str | None], Facts]


def adopt(
    layers: Layers, name: str, ref: Mapping[str, str], places: Sequence[Path], inspect: Inspect, ctx: Context
) -> None:
    """Take {"source-name": file in adopt/ or an absolute path below one of `places`, "format": "raw"|"qcow2" (or left out)} in. Moved when
    it lies on the same file system; copied otherwise, and then the original stays."""
    with layers.locks.hold(name, ctx):
        taken = layers.layer(name)
        if taken is not None:
            _settle(layers, name, taken)  # the answer was lost, or we died just after the move
            return
        layers.work.clear(name, ctx)
    source = _locate(layers.folder.adopt, ref, places)
    facts = inspect(source, ref.get("format"))
    if facts.format not in ("raw", "qcow2"):
        raise BadFormat("Only raw and qcow2 can become volumes", needed="raw or qcow2", had=facts.format)
    if facts.virtual_size <= 0:
        raise BadFormat("The file is empty", needed=f"at least {SECTOR} bytes", had=facts.virtual_size)
    if source.stat().st_dev == layers.folder.layers.stat().st_dev:
        _move(layers, name, source, facts, inspect, ref.get("format"), ctx)
    else:
        _copy(layers, name, source, facts, ctx)


def _locate(adopt: Path, ref: Mapping[str, str], places: Sequence[Path]) -> Path:
    wanted = ref.get("source-name", "")
    allowed = [place.resolve() for place in (adopt, *places)]
    if not wanted or "\0" in wanted:
        raise BadRequest("Which file shall become a volume?", needed='{"source-name": FILE}', had=dict(ref))
    path = Path(wanted) if wanted.startswith("/") else adopt / wanted
    folder = path.parent.resolve()
    if path.name in ("", ".", "..") or not any(folder.is_relative_to(place) for place in allowed):
        raise BadRequest(
            f"{wanted} does not lie where files may be taken from",
            needed=f"a file below {' or '.join(map(str, allowed))}",
            had=str(folder),
            remedy=f"Move it to {adopt}.",
        )
    path = folder / path.name
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise NotThere(
            f"There is no file {path}", needed=str(path), had="no such file", remedy=f"Put it into {adopt}."
        ) from None
    if not stat.S_ISREG(found.st_mode):
        raise BadFormat(f"{path} is no plain file", needed="a regular file", had=stat.filemode(found.st_mode))
    if found.st_nlink != 1:
        raise BadFormat(
            f"{path} has other names through which it could be changed",
            needed="one name",
            had=f"{found.st_nlink} names",
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise Failed(
            f"{path} cannot be read and written by this user",
            needed="rw",
            had=stat.filemode(found.st_mode),
            remedy="chown it.",
        )
    _require_unwritten(path)
    return path


def _require_unwritten(path: Path) -> None:
    if files.written_by_others(path):
        raise Busy(
            f"{path} is in use",
            needed="nobody writing to it",
            had="a writer",
            remedy="Stop the program that has it open.",
        )


def _move(
    layers: Layers, name: str, source: Path, facts: Facts, inspect: Inspect, stated: str | None, ctx: Context
) -> None:
    with layers.locks.hold(name, ctx):
        with layers.locks.tree(ctx):
            # A link that is there already is our own, from before a crash: its target is where the file was going.
            file = layers.reader.target(name) or f"{name}.{layers.reader.next_number(name)}.{facts.format}"
            layers.point(name, file)
        files.sync_folder(layers.folder.link(name).parent)
        reach("file.adopt.named")
        target = layers.path(file)
        source.rename(target)
        reach("file.adopt.moved")
        try:  # it is out of others' reach now: was it swapped or opened since it was looked at?
            _require_unwritten(target)
            again = inspect(target, stated)
            if (again.format, again.virtual_size) != (facts.format, facts.virtual_size):
                raise BadFormat(
                    f"{source} was changed while it was taken in", needed=facts.format, had=again.format
                )
        except BaseException:
            target.rename(source)
            layers.folder.link(name).unlink(missing_ok=True)
            raise
        _settle(layers, name, layers.reader.layer(file))
        files.sync_folder(source.parent)


def _settle(layers: Layers, name: str, layer: Layer) -> None:
    """Ours alone, whole sectors, on stable storage."""
    path = layers.path(layer.file)
    path.chmod(0o600)
    if layer.format == "raw" and layer.size % SECTOR:
        os.truncate(path, -(-layer.size // SECTOR) * SECTOR)
    files.sync_file(path)
    layers.sync_names(name)


def _copy(layers: Layers, name: str, source: Path, facts: Facts, ctx: Context) -> None:
    def step(done: int, total: int) -> None:
        ctx.check()
        ctx.progress(done, total)

    size = source.stat().st_size
    layers.space.require(files.allocated(source), f"a copy of {source}")
    with layers.drafted(name, ctx) as draft:
        with source.open("rb", buffering=0) as original:
            files.copy_sparse(original.fileno(), draft.fd, size, step)
        if facts.format == "raw":
            os.ftruncate(draft.fd, -(-size // SECTOR) * SECTOR)
        draft.sync()
        reach("file.adopt.copied")
        with layers.locks.hold(name, ctx), layers.locks.tree(ctx):
            layers.publish_leaf(name, draft, facts.format)
        layers.sync_names(name)
