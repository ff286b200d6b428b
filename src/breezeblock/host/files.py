# SPDX-License-Identifier: Apache-2.0
"""Files as facts: written whole or not at all, on stable storage before they count, links swapped in one step, and whether somebody
writes to a file right now. Must never decide what a file means."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from breezeblock.model.errors import NoSpace, ProgramFailed

#: The kernel's longest single copy_file_range is about 2 GiB; shorter steps keep cancelling and progress lively.
_COPY_STEP = 64 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


def sync_folder(folder: Path) -> None:
    """Put the folder's names on stable storage."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Put a file's bytes on stable storage, whoever wrote them."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_whole(path: Path, content: bytes) -> None:
    """Replace `path` with `content`, durably: after a power cut it is the old or the new file."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.replace(path)
    sync_folder(path.parent)


def point(link: Path, target: str, draft: Path) -> None:
    """Make the symbolic link `link` point to `target` in one step, whether it existed or not; `draft` is a free name on the same file
    system. The caller syncs the folder."""
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(link)


def allocated(path: Path) -> int:
    """Bytes of disk the file takes (shared extents counted whole)."""
    return path.stat().st_blocks * 512


def written_by_others(path: Path) -> bool:
    """Does anybody (a process, a loop device, an exporter) hold this file open for writing? The kernel grants a read lease only while
    nobody does. Where leases do not exist (FUSE, NFS) QEMU's own locks on the file are asked instead. A storage daemon keeps files open
    that it has stopped writing to (layers below its active one): of those ask `qemu_writes`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Should a writer come in the microseconds that the lease stands, tell us with a signal that is ignored by default, not SIGIO.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as refused:
        if refused.errno in (errno.EAGAIN, errno.EACCES):
            return refused.errno == errno.EAGAIN or _locked_by_qemu(fd)
        return _locked_by_qemu(fd)
    finally:
        os.close(fd)
    return False


def qemu_writes(path: Path) -> bool:
    """Does a QEMU program have this image open to write to it (by its own locks: permission asked for, not just an open file)?"""
    try:
        with path.open("rb", buffering=0) as file:
            return _locked_by_qemu(file.fileno())
    except FileNotFoundError:
        return False


#: QEMU marks what it does with an image by locks on single bytes: 100 + permission (1 is write), 200 + what it does not share.
_QEMU_WRITES = 101
_LOCK_WHENCE_START_LENGTH = "hhqqi4x"


def _locked_by_qemu(fd: int) -> bool:
    import struct

    question = struct.pack(_LOCK_WHENCE_START_LENGTH, fcntl.F_WRLCK, os.SEEK_SET, _QEMU_WRITES, 1, 0)
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, question)
    return bool(struct.unpack(_LOCK_WHENCE_START_LENGTH, answer)[0] != fcntl.F_UNLCK)


def data_ranges(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """(offset, end) of each range of the file that is not a hole."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        if start >= size:
            return
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        yield start, at


def copy_sparse(source: int, target: int, size: int, step: Callable[[int, int], None]) -> None:
    """Copy what is not a hole; the kernel moves the bytes. `step(done, total)` is called between parts and may raise."""
    os.ftruncate(target, size)
    ranges = list(data_ranges(source, size))
    total, done = sum(end - start for start, end in ranges), 0
    step(0, total)
    for start, end in ranges:
        while start < end:
            count = _copy_part(source, target, start, min(_COPY_STEP, end - start))
            if count == 0:
                raise OSError(errno.EIO, "the source became shorter while it was copied")
            start += count
            done += count
            step(done, total)


def _copy_part(source: int, target: int, at: int, length: int) -> int:
    try:
        return os.copy_file_range(source, target, length, at, at)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    os.lseek(target, at, os.SEEK_SET)
    return os.sendfile(target, source, at, length)


@contextlib.contextmanager
def full_is_no_space(what: str, folder: Path) -> Iterator[None]:
    """A full disk, met by this process or by a program it runs, is NoSpace with the number there is."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise _no_space(what, folder) from error
    except ProgramFailed as error:
        text = str(error.facts.get("stderr", ""))
        if os.strerror(errno.ENOSPC) not in text and os.strerror(errno.EDQUOT) not in text:
            raise
        raise _no_space(what, folder) from error


def _no_space(what: str, folder: Path) -> NoSpace:
    stat = os.statvfs(folder)
    return NoSpace(
        f"The disk became full: {what}; it was undone",
        needed="more free space in the storage folder",
        had=f"{stat.f_bavail * stat.f_frsize} bytes",
        folder=str(folder),
    )
