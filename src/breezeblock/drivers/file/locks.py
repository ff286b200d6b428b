# SPDX-License-Identifier: Apache-2.0
"""Who may change what, now. One lock a name, with the fence token in the same file; one lock for the tree of layers. Locks are the
kernel's (flock) on this host: they end with the process that holds them. Must never be held while bulk data is moved.

Fencing. Work on an object is done under its lock. The caller's token (`ctx.fence`) is compared with the one in the lock file: a lower
one is an owner that was taken over, and Fenced ends it; a higher one is written down first. So a newer owner that has been here once,
even only to look at it and undo, has locked out all older ones for good. Token 0 is a caller without rivals: it is not compared.

What stays behind. The lock file of a deleted object must outlive it: an old owner, stopped in the middle of a create, would otherwise
publish the object again. It is kept for a day after its last use, one block of disk each, and swept at start and now and then at
deletes; no owner is stopped for a day without having lost its process. Tokens are not synced to disk: after a power cut no old owner
is alive on this host. Lock order: names in alphabetical order, then the tree."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from breezeblock.model.call import Context
from breezeblock.model.errors import Fenced, TimedOut

KEPT_SECONDS = 86400.0
#: A holder works for milliseconds, or a minute when it clones a badly fragmented file.
TIMEOUT = 120.0
_TREE = ".tree"
#: Where in a lock file the time of the last hand-out stands; the token stands before it.
_HANDED_OUT = 21


class Locks:
    """The lock files of one folder. Works between threads and between processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tree = threading.Lock()

    @contextlib.contextmanager
    def hold(self, name: str, ctx: Context) -> Iterator[None]:
        """Hold the object's lock as its owner. Raises Fenced when somebody newer has been here."""
        with self._locked(name, ctx) as fd:
            if ctx.fence:
                stored = int(os.pread(fd, _HANDED_OUT, 0).strip(b"\0\n") or b"0")
                if stored > ctx.fence:
                    raise Fenced(
                        needed=f"fence token {stored} or higher",
                        had=ctx.fence,
                        name=name,
                        operation=ctx.operation,
                    )
                if stored < ctx.fence:
                    os.pwrite(fd, b"%020d\n" % ctx.fence, 0)
                else:
                    os.utime(fd)
            yield

    @contextlib.contextmanager
    def hold_both(self, name: str, source: str | None, ctx: Context) -> Iterator[None]:
        """Hold `name` as its owner and `source` against changes (the caller's token is not the source's)."""
        with contextlib.ExitStack() as stack:
            for one in sorted({name, source or name}):
                stack.enter_context(self.hold(one, ctx) if one == name else self._locked(one, ctx))
            yield

    @contextlib.contextmanager
    def tree(self, ctx: Context | None = None) -> Iterator[None]:
        """Hold the tree of layers: names and parents do not change meanwhile. For milliseconds only."""
        with self._tree, self._locked(_TREE, ctx):
            yield

    @contextlib.contextmanager
    def _locked(self, name: str, ctx: Context | None) -> Iterator[int]:
        path, limit, pause = self._folder / name, time.monotonic() + TIMEOUT, 0.0005
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_named(path, fd):
                    break
                os.close(fd)  # swept between open and lock: it guards nothing any more
                continue
            except BlockingIOError:
                os.close(fd)
            except BaseException:
                os.close(fd)
                raise
            if ctx is not None:
                ctx.check()
            if time.monotonic() > limit:
                raise TimedOut(
                    f"The lock of {name} is held by another process",
                    needed=f"the lock within {TIMEOUT:.0f} s",
                    had="none",
                )
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
        try:
            yield fd
        finally:
            os.close(fd)

    def hand_out(self, name: str) -> None:
        """Note that the object's path is given to somebody who will open it. The caller holds the tree's lock. A disk too full for this
        note is too full for a fold, and a volume on it must still be attachable."""
        with contextlib.suppress(OSError):
            fd = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(fd, b"%020.3f\n" % time.time(), _HANDED_OUT)
            finally:
                os.close(fd)

    def handed_out(self, name: str) -> float:
        """When that was (seconds since the epoch; 0: never)."""
        try:
            with Path(self._folder / name).open("rb") as file:
                file.seek(_HANDED_OUT)
                return float(file.read(21).strip(b"\0\n") or b"0")
        except FileNotFoundError:
            return 0.0

    def sweep(self, exists: Callable[[str], bool]) -> int:
        """Remove lock files of objects that have been gone for long. Returns how many."""
        swept, before = 0, time.time() - KEPT_SECONDS
        for entry in os.scandir(self._folder):
            if (
                entry.name == _TREE
                or exists(entry.name)
                or entry.stat(follow_symlinks=False).st_mtime > before
            ):
                continue
            fd = os.open(entry.path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                Path(entry.path).unlink(missing_ok=True)
                swept += 1
            except BlockingIOError:
                pass
            finally:
                os.close(fd)
        return swept


def _is_named(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
