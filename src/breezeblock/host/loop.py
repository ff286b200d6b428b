# SPDX-License-Identifier: Apache-2.0
"""Loop devices: a file becomes a block device of this host and goes again. Owns attach, find, grow and detach, and who holds one
open. Must never use direct I/O on a file that a FUSE server gives (see below), and never call a device gone before the kernel does.

The trap. The storage daemon's FUSE export corrupts data, without any error, when two writes are under way at once. A loop device with
direct I/O off writes one request at a time (the kernel holds the file's lock), so it is safe; with direct I/O on it is not. So `attach`
asks for it off, reads back what the kernel decided and refuses the device otherwise.

Identity. A device number is reused at once. The kernel gives every new backing a disk sequence number that never comes again in one
boot: a Loop remembers it, and a device with another one is somebody else's. Its file is told by inode, not by name.

Detach. LOOP_CLR_FD on a device that somebody holds open succeeds, and the device stays until the last one closes it. So holders are
looked for first, the device is opened exclusively meanwhile, and the end is awaited."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import msgspec

from breezeblock.host import block_device, mounts, processes
from breezeblock.model import errors

_CONFIGURE, _CLEAR, _SET_STATUS, _GET_STATUS, _SET_CAPACITY, _GET_FREE = (
    0x4C0A,
    0x4C01,
    0x4C04,
    0x4C05,
    0x4C07,
    0x4C82,
)
_FLUSH_BUFFERS = 0x1261
_READ_ONLY, _AUTO_CLEAR, _DIRECT_IO = 1, 4, 16
#: struct loop_info64: device, inode, rdevice, offset, size limit, number, three encryption words (the last are the flags), names...
_INFO = struct.Struct("=QQQQQIIII64s64s32sQQ")
_SECTOR = 512


class Loop(msgspec.Struct, frozen=True, kw_only=True):
    """An attached loop device. `filesystem` and `inode` are its backing file's; `sequence` is the kernel's disk sequence number."""

    device: str
    filesystem: int
    inode: int
    sequence: int

    @property
    def name(self) -> str:
        return Path(self.device).name


def attach(path: Path, *, writable: bool = True, direct: bool = False, attempts: int = 16) -> Loop:
    """Make `path` a block device; one that it is already is given back. The caller serialises calls for one file."""
    there = find(path)
    if there is not None:
        return _checked(there, path)
    if direct and mounts.is_fuse(path):
        raise ValueError("direct I/O on a FUSE file corrupts data")
    backing = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
    try:
        flags = (0 if writable else _READ_ONLY) | (_DIRECT_IO if direct else 0)
        info = _INFO.pack(0, 0, 0, 0, 0, 0, 0, 0, flags, os.fsencode(path)[:63], b"", b"", 0, 0)
        configuration = struct.pack("=II", backing, 0) + info + bytes(64)
        for _ in range(attempts):
            device = f"/dev/loop{_free_number()}"
            taken = _open(device, os.O_RDWR)
            try:
                fcntl.ioctl(taken, _CONFIGURE, configuration)
            except OSError as busy:
                if busy.errno == errno.EBUSY:  # somebody else took the same free number
                    continue
                raise errors.Failed(f"The kernel refuses a loop device for {path}: {busy.strerror}") from busy
            finally:
                os.close(taken)
            made = _read(device)
            assert made is not None, "configured a moment ago"
            return _checked(made, path)
    finally:
        os.close(backing)
    raise errors.Busy("No loop device could be taken", needed="a free one", had=f"{attempts} lost races")


def find(path: Path) -> Loop | None:
    """The loop device of exactly this file (its inode, whatever its name)."""
    try:
        wanted = path.stat()
    except FileNotFoundError:
        return None
    for loop in attached():
        if loop.inode == wanted.st_ino and loop.filesystem == wanted.st_dev:
            return loop
    return None


def attached() -> Sequence[Loop]:
    """Every loop device with a backing file that answers."""
    devices = (
        f"/dev/{entry.parent.parent.name}" for entry in Path("/sys/block").glob("loop*/loop/backing_file")
    )
    return [loop for loop in map(_read, devices) if loop is not None]


def stands(loop: Loop) -> bool:
    """Whether the device is still the one that was attached. Asks the kernel alone: a backing file on a dead FUSE server answers
    nothing, and its device stands all the same."""
    try:
        return int(_attribute(loop, "diskseq")) == loop.sequence and bool(
            _attribute(loop, "loop/backing_file")
        )
    except OSError:
        return False


def size(loop: Loop) -> int:
    """Bytes, as the kernel sees the device."""
    return int(_attribute(loop, "size")) * _SECTOR


def direct_io(loop: Loop) -> bool:
    return _attribute(loop, "loop/dio") != "0"


def grow(loop: Loop) -> int:
    """Let the device see its backing file's size; returns bytes."""
    fd = _open(loop.device, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, _SET_CAPACITY, 0)
    finally:
        os.close(fd)
    return size(loop)


def holders(loop: Loop) -> Sequence[str]:
    return block_device.holders(loop.device)


def detach(loop: Loop, *, lossy: bool = False, timeout: float = 10.0) -> None:
    """Flush and remove the device, and wait until it is gone. Absent is success. Raises Busy, naming the holders, before anything is
    changed. `lossy`: go on although the flush fails (its storage is dead and what was not flushed is lost already)."""
    if not stands(loop):
        return
    with block_device.claimed(loop.device) as fd:
        _flush(fd, loop, lossy=lossy)
        if stands(loop):
            fcntl.ioctl(fd, _CLEAR, 0)
    for _ in processes.ticks(timeout):
        if not stands(loop):
            return
    _keep(loop)
    raise block_device.busy(loop.device, holders(loop))


def _checked(loop: Loop, path: Path) -> Loop:
    """The kernel's decision about direct I/O, not our wish, is what keeps the data whole."""
    if direct_io(loop) and mounts.is_fuse(path):
        detach(loop, lossy=True)
        raise errors.DeviceWrong(
            f"{loop.device} has direct I/O on, over FUSE: that corrupts concurrent writes",
            needed="dio 0",
            had="dio 1",
            remedy="Nothing was handed out. Do not switch direct I/O on for devices of this service.",
        )
    return loop


def _read(device: str) -> Loop | None:
    """The device as it is now; None without a backing file, or with one that does not answer (on a dead FUSE server). An ordinary user
    may not ask the device: its file is then told by the name that the kernel shows."""
    shown = Path(f"/sys/block/{Path(device).name}")
    try:
        sequence = int((shown / "diskseq").read_text(encoding="ascii"))
        try:
            filesystem, inode = _backing(device)
        except PermissionError:
            backing = Path((shown / "loop/backing_file").read_text().rstrip("\n")).stat()
            filesystem, inode = backing.st_dev, backing.st_ino
    except OSError:
        return None
    return Loop(device=device, filesystem=filesystem, inode=inode, sequence=sequence)


def _backing(device: str) -> tuple[int, int]:
    """File system and inode of the backing file."""
    fd = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        encoded, inode = _INFO.unpack(fcntl.ioctl(fd, _GET_STATUS, bytes(_INFO.size)))[:2]
    finally:
        os.close(fd)
    return os.makedev((encoded >> 8) & 0xFFF, (encoded & 0xFF) | ((encoded >> 12) & 0xFFF00)), inode


def _flush(fd: int, loop: Loop, *, lossy: bool) -> None:
    try:
        os.fsync(fd)
        fcntl.ioctl(fd, _FLUSH_BUFFERS, 0)
    except OSError as lost:
        if not lossy:
            raise errors.Failed(
                f"{loop.device} could not be flushed: {lost.strerror}",
                needed="its storage answering",
                had=f"errno {lost.errno}",
                remedy="Bring its storage back and try again; or force it (detach --force): what was not flushed is lost then.",
            ) from lost


def _keep(loop: Loop) -> None:
    """It was not gone in time: take the promise back that it goes with its last user (nothing to take back once it is gone)."""
    fd = _open(loop.device, os.O_RDONLY)
    try:
        status = list(_INFO.unpack(fcntl.ioctl(fd, _GET_STATUS, bytes(_INFO.size))))
        status[8] &= ~_AUTO_CLEAR
        fcntl.ioctl(fd, _SET_STATUS, _INFO.pack(*status))
    except OSError as gone:
        if gone.errno not in (errno.ENXIO, errno.ENOTCONN):
            raise
    finally:
        os.close(fd)


def _free_number() -> int:
    fd = _open("/dev/loop-control", os.O_RDWR)
    try:
        return fcntl.ioctl(fd, _GET_FREE)
    finally:
        os.close(fd)


def _open(device: str, flags: int) -> int:
    try:
        return os.open(device, flags | os.O_CLOEXEC)
    except PermissionError as refused:
        if os.geteuid() == 0:
            raise
        raise block_device.needs_root("A loop device") from refused


def _attribute(loop: Loop, name: str) -> str:
    return Path(f"/sys/block/{loop.name}/{name}").read_text(encoding="ascii").strip()
