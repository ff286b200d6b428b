# SPDX-License-Identifier: Apache-2.0
"""Small state files beside what they describe: written whole or not at all, and changed under a lock that dies with its holder.
What a later process must know to adopt or clean up an exporter is here. Must never hold a secret."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from breezeblock.model import errors

T = TypeVar("T", bound=msgspec.Struct)


def save(path: Path, value: msgspec.Struct) -> None:
    """Replace `path` with `value`. Both the file and its name are on stable storage when this returns: an intent that a power cut
    can lose is no intent."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    with draft.open("wb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(value)) + b"\n")
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load(path: Path, kind: type[T]) -> T | None:
    """The record, or None when there is none. A torn record cannot come from `save`: it is reported, never ignored."""
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as wrong:
        raise errors.Failed(
            f"The record {path} cannot be read: {wrong}",
            remedy="Look at what it describes (processes, loop devices), end it by hand, then remove the record.",
        ) from wrong


@contextlib.contextmanager
def locked(path: Path, *, timeout: float = 60.0) -> Iterator[None]:
    """Hold the lock file `path`: against other threads and other processes alike. The kernel drops it when its holder dies, so a
    killed service never blocks its successor. The file may be removed by its holder (see `discard_lock`)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    give_up = time.monotonic() + timeout
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last holder may have removed the name while we waited: then our lock guards nothing.
            if _names(path, fd):
                break
        except BlockingIOError:
            if time.monotonic() > give_up:
                os.close(fd)
                raise errors.TimedOut(
                    f"The lock {path} is held by somebody else",
                    needed=f"the lock within {timeout:g} s",
                    had="none",
                ) from None
            time.sleep(0.01)
        os.close(fd)
    try:
        yield
    finally:
        os.close(fd)


def discard_lock(path: Path) -> None:
    """Remove the lock's file while holding it, when what it guarded is gone for good."""
    path.unlink(missing_ok=True)


def _names(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
