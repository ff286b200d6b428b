# SPDX-License-Identifier: Apache-2.0
"""What `breezeblock volume import` and `export` do: an image file becomes a volume and back. The header is read by our own inspector, the
bytes are moved by qemu-img as this user. Must never probe a format, overwrite a file, or call a copy done before it is flushed."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from breezeblock.cli import programs, render
from breezeblock.cli.actions.volume import described
from breezeblock.cli.exits import Ended, refused, usage
from breezeblock.cli.names import VOLUME, resolve
from breezeblock.cli.reached import file, reached
from breezeblock.cli.session import Session
from breezeblock.cli.wait import for_operation

GIB = 1 << 30
FLUSH_SECONDS = 600.0
#: Names that promise another format than the file would have.
_FOREIGN = (".vmdk", ".vdi", ".vhd", ".vhdx", ".qed")


def import_file(
    session: Session,
    *,
    path: Path,
    name: str | None,
    size: int | None,
    format: str | None,
    volume_type: str | None,
    bootable: bool,
) -> None:
    programs.need("qemu-img")
    with _opened(path) as descriptor:
        _import(
            session,
            path,
            descriptor,
            name=name,
            size=size,
            format=format,
            volume_type=volume_type,
            bootable=bootable,
        )


def _import(
    session: Session,
    path: Path,
    descriptor: int,
    *,
    name: str | None,
    size: int | None,
    format: str | None,
    volume_type: str | None,
    bootable: bool,
) -> None:
    fmt, virtual = _facts(path, descriptor, format)
    least = max(1, -(-virtual // GIB))
    if size is not None and size < least:
        raise usage(
            "the volume is too small for the image",
            needed=f"{least} GiB",
            had=f"{size} GiB",
            remedy=f"Say --size {least}G.",
        )
    client = session.client
    wanted = {
        "name": name or path.name.removesuffix(path.suffix) or path.name,
        "size": size or least,
        "volume_type": volume_type,
    }
    answer = client.post("/volumes", {"volume": {k: v for k, v in wanted.items() if v is not None}})
    ident = str(answer.body["volume"]["id"])
    try:
        if answer.operation:
            for_operation(client, answer.operation, session.progress, timeout=session.timeout)
        started = time.monotonic()
        with reached(client, ident, "rw") as target:
            # By its descriptor: the name could lead to a file by now that nobody has looked into.
            source, options = file(descriptor, fmt), ["-n", "-O", "raw"]
            _convert(session, options, source, target, f"importing {path.name}", pass_fds=(descriptor,))
            # qemu-img does not tell when its last flush fails; this one does.
            programs.run(["qemu-io", "-c", "flush", target], timeout=FLUSH_SECONDS)
        took = time.monotonic() - started
        if bootable:
            client.act("volumes", ident, "os-set_bootable", {"bootable": True})
    except BaseException:
        _abandon(session, ident)
        raise
    found = client.get(f"/volumes/{ident}")["volume"]
    facts = {"file": str(path), "format": fmt, "virtual_size": virtual, "seconds": round(took, 3)}
    session.note(f"{render.size(virtual)} ({fmt}) in {render.seconds(took)}")
    session.show({"volume": found, "import": facts}, described(found))


def export_file(session: Session, *, volume: str, path: Path, format: str | None) -> None:
    programs.need("qemu-img")
    if format is None and path.suffix in _FOREIGN:
        raise usage(
            f"{path.suffix[1:]} is not written here",
            needed="raw or qcow2",
            had=str(path),
            remedy="Name the file .qcow2 or .raw, or say --format.",
        )
    fmt = format or ("qcow2" if path.suffix in (".qcow2", ".qcow") else "raw")
    _free(path)
    client, ident = session.client, resolve(session.client, VOLUME, volume)
    part, started = path.with_name(path.name + ".part"), time.monotonic()
    # Created by us and by nobody else, so that two exports to one name cannot mix their bytes.
    descriptor = _claim(part)
    try:
        with reached(client, ident, "ro") as source:
            # By its descriptor: in a folder of somebody else's the name could lead elsewhere by now.
            target, options = f"/dev/fd/{descriptor}", ["-O", fmt, "-S", "64k"]
            _convert(session, options, source, target, f"exporting to {path.name}", pass_fds=(descriptor,))
        os.fsync(descriptor)
        # A link, unlike a rename, refuses to replace a file that appeared meanwhile.
        _publish(part, path, descriptor)
    finally:
        os.close(descriptor)
        part.unlink(missing_ok=True)
    took, facts = time.monotonic() - started, path.stat()
    document = {
        "volume_id": ident,
        "export": {
            "file": str(path),
            "format": fmt,
            "bytes": facts.st_size,
            "allocated": facts.st_blocks * 512,
            "seconds": round(took, 3),
        },
    }
    session.note(f"{render.size(facts.st_blocks * 512)} on disk in {render.seconds(took)}")
    session.show(document, str(path))


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A plain file, open for reading. A link of the caller's own is followed."""
    try:
        # Looked at before it is opened, and not waited for: opening a pipe waits for its writer.
        plain = stat.S_ISREG(path.stat().st_mode)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK) if plain else -1
    except OSError as why:
        raise refused(f"{path} cannot be read: {why.strerror}", code="image.unreadable") from None
    try:
        if not plain or not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise refused(
                f"{path} is no plain file", code="image.unreadable", needed="a regular file", had=str(path)
            )
        yield descriptor
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _facts(path: Path, descriptor: int, stated: str | None) -> tuple[str, int]:
    """Format and virtual size in bytes. Stated raw is raw: then the file's bytes are the disk's."""
    from breezeblock.image.inspector import inspect
    from breezeblock.model.errors import BadFormat

    try:
        facts = inspect(path, stated, opened=descriptor)
    except OSError as why:
        raise refused(f"{path} cannot be read: {why.strerror}", code="image.unreadable") from None
    except BadFormat as why:
        raise refused(
            f"{path}: {why.message}", code=why.code, needed=why.needed, had=why.had, remedy=why.remedy
        ) from None
    if not facts.virtual_size:
        raise refused(f"{path} is empty", code="image.empty", needed="an image", had="0 bytes")
    return facts.format, facts.virtual_size


def _convert(
    session: Session, options: list[str], source: str, target: str, what: str, *, pass_fds: Sequence[int] = ()
) -> None:
    argv = ["qemu-img", "convert", "-p", "-m", "8", "-W", "-t", "writeback", *options, source, target]
    session.progress.show(what)
    try:
        programs.run_with_percent(
            argv, lambda percent: session.progress.show(what, measure=f"{percent:.0f} %"), pass_fds=pass_fds
        )
    finally:
        session.progress.clear()


def _abandon(session: Session, ident: str) -> None:
    """A volume with half an image in it is worth nothing: it goes. What cannot be undone is said."""
    try:
        session.client.delete(f"/volumes/{ident}")
        session.note(f"the unfinished volume {ident} is being deleted")
    except Ended as why:
        session.note(f"the unfinished volume {ident} is left: {why}")


def _free(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise _exists(path)
    if not path.absolute().parent.is_dir():
        raise refused(
            f"{path.parent} is no folder",
            code="image.folder",
            needed="an existing folder",
            had=str(path.parent),
        )


def _exists(path: Path) -> Ended:
    return refused(f"{path} exists", code="image.exists", needed="a new file name", had=str(path),
                   remedy="Nothing was changed; move the file away or choose another name.")  # fmt: skip


def _claim(part: Path) -> int:
    try:
        return os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise refused(f"{part} exists", code="image.exists", needed="no other export to this name", had=str(part),
                      remedy="If no export is running, remove it.") from None  # fmt: skip
    except OSError as why:
        raise refused(f"{part} cannot be written: {why.strerror}", code="image.folder") from None


def _publish(part: Path, path: Path, descriptor: int) -> None:
    try:
        if not os.path.samestat(part.lstat(), os.fstat(descriptor)):
            raise refused(
                f"{part} was exchanged while it was written",
                code="image.folder",
                needed="a folder of one's own",
            )
        os.link(part, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:
        # A file system without hard links: the next best refusal.
        _free(path)
        part.rename(path)
    folder = os.open(path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
