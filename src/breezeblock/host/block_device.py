# SPDX-License-Identifier: Apache-2.0
"""A file or block device as the kernel shows it: how long it is, whether it can be read, who holds it, and a claim that nobody else holds
it while it is being taken away. Must never mistake a passer-by for a user: udev and what it runs look into every device that was
written, for a moment; a mount or a program that keeps it open stays."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from breezeblock.host import processes
from breezeblock.host.mounts import mounted_at
from breezeblock.host.sockets import comm, open_files
from breezeblock.model import errors

#: Seconds for which an open descriptor may be a passer-by's; and udev's own, which may wait for a slow device.
_PASSING, _PROBING = 1.5, 10.0


def size(path: Path) -> int:
    """Bytes of a regular file or a block device."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.seek(0, os.SEEK_END)
    except FileNotFoundError as absent:
        raise errors.NotThere(
            f"{path} is not there", needed="the volume's file or device", had="nothing"
        ) from absent


def readable(path: Path) -> bool:
    """Can a first block be read?"""
    try:
        with path.open("rb", buffering=0) as device:
            return len(device.read(4096)) > 0
    except OSError:
        return False


def holders(device: str, *, ours: int = 0) -> Sequence[str]:
    """Who uses a block device, for people: mount points, devices on top of it, processes that have it open. `ours`: how many of this
    process' own descriptors do not count."""
    number = Path(device).stat().st_rdev
    found = [f"mounted at {point}" for point in mounted_at(f"{os.major(number)}:{os.minor(number)}")]
    found += [f"device {entry.name}" for entry in Path(f"/sys/block/{Path(device).name}/holders").glob("*")]
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        if open_files(pid).count(device) > (ours if pid == os.getpid() else 0):
            found.append(f"open in {comm(pid)} (pid {pid})")
    return found


@contextlib.contextmanager
def claimed(device: str) -> Iterator[int]:
    """The device opened by us and by nobody else: an open descriptor. Raises Busy, naming who holds it, without having changed a thing."""
    fd = _exclusive(device)
    try:
        who = users(device, ours=1)
        if who:
            raise busy(device, who)
        yield fd
    finally:
        os.close(fd)


def busy(device: str, who: Sequence[str]) -> errors.Busy:
    return errors.Busy(
        f"{device} is in use",
        needed="nobody holding it",
        had="; ".join(who) or "somebody that this process cannot see",
        remedy="Unmount it or end what uses it, then try again.",
    )


def needs_root(what: str) -> errors.Failed:
    return errors.Failed(
        f"{what} needs root",
        needed="user 0",
        had=f"user {os.geteuid()}",
        remedy="Run it as root (sudo), or use the URI.",
    )


def _exclusive(device: str) -> int:
    """Fails for what is mounted or has a device on top, in whichever namespace."""
    flags = os.O_EXCL | os.O_CLOEXEC
    for _ in processes.ticks(_PASSING):
        try:
            try:
                return os.open(device, flags | os.O_RDWR)
            except PermissionError:  # a read-only device
                return os.open(device, flags | os.O_RDONLY)
        except PermissionError as refused:
            raise needs_root(f"Taking {device} away") from refused
        except OSError as refused:
            if refused.errno != errno.EBUSY:
                raise
            if any(not who.startswith("open in") for who in holders(device)):
                break
    raise busy(device, holders(device))


def users(device: str, *, ours: int = 0) -> Sequence[str]:
    """Holders who do not go away by themselves; passers-by are waited for."""
    who: Sequence[str] = []
    for passed in processes.ticks(_PROBING):
        who = holders(device, ours=ours)
        probing = all("udev" in one for one in who)
        if (
            not who
            or any(not one.startswith("open in") for one in who)
            or (passed > _PASSING and not probing)
        ):
            return who
    return who
