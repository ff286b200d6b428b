# SPDX-License-Identifier: Apache-2.0
"""An NBD export as a loop device of this host, without the kernel's NBD: nbdfuse shows it as a file, a loop device makes it a block
device. Owns that chain's making, looking and unmaking. nbdfuse is an exporter: it outlives this process, its record is on disk. Must
never take a chain apart while the device is in use, and never leave half of one.

    made:    record with a token -> nbdfuse on <folder>/disk -> record -> loop device on <folder>/disk/nbd -> record
    unmade:  loop device (flushed, awaited) -> unmount (nbdfuse ends itself, having flushed) -> whoever has the token -> record

Why nbdfuse and not a second storage daemon's FUSE export: that one corrupts concurrent writes; nbdfuse passed every verification with
direct I/O on and off. The loop device still has it off, like every one on FUSE: one rule, checked in one place."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import msgspec

from breezeblock.host import loop, mounts, processes
from breezeblock.host.killpoint import reach as passed
from breezeblock.host.loop import Loop
from breezeblock.host.processes import ProcessRecord
from breezeblock.host.records import load, save
from breezeblock.model import errors

PROGRAM = "nbdfuse"
_RECORD = "connection.json"
_LOG = "nbdfuse.log"


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """A connection on disk. `process` and `device` None: not reached yet. `boot`: the boot in which all this is true."""

    uri: str
    volume_id: str
    size: int
    boot: str
    token: str
    process: ProcessRecord | None = None
    device: Loop | None = None


def stored(folder: Path) -> Chain | None:
    return load(folder / _RECORD, Chain)


def whole(folder: Path, chain: Chain) -> str:
    """Empty when the chain stands; otherwise what is missing."""
    if chain.boot != processes.boot_id():
        return "this host was booted since"
    if chain.process is None or not processes.alive(chain.process):
        return f"{PROGRAM} does not run"
    if mounts.at(folder / "disk") is None:
        return f"{folder / 'disk'} is not mounted"
    if chain.device is None or not loop.stands(chain.device):
        return "its loop device is gone"
    return ""


def make(
    folder: Path, uri: str, volume_id: str, size: int, *, writable: bool = True, timeout: float = 20.0
) -> Chain:
    """Build the chain; what is left of an earlier one was unmade before. On failure nothing is left."""
    disk = folder / "disk"
    disk.mkdir(parents=True, exist_ok=True, mode=0o700)
    chain = Chain(
        uri=uri, volume_id=volume_id, size=size, boot=processes.boot_id(), token=processes.new_token()
    )
    save(folder / _RECORD, chain)
    passed("nbdfuse.intended")
    try:
        (folder / _LOG).write_bytes(b"")
        # The token is the file system's name: seen in the command line and in the list of mounts.
        argv = [PROGRAM, "-o", f"fsname={chain.token}", *([] if writable else ["--readonly"]), str(disk), uri]
        process = processes.spawn(argv, token=chain.token, folder=folder, log=_LOG)
        chain = msgspec.structs.replace(chain, process=process)
        passed("nbdfuse.started")
        save(folder / _RECORD, chain)
        file = _awaited(folder, process, timeout)
        had = file.stat().st_size
        if had != size:
            raise errors.DeviceWrong(
                f"The export of volume {volume_id} has another size",
                needed=f"{size} bytes",
                had=f"{had} bytes",
            )
        device = loop.attach(file, writable=writable)
        passed("nbdfuse.attached")
        chain = msgspec.structs.replace(chain, device=device)
        save(folder / _RECORD, chain)
        seen = loop.size(device)
        if seen != size:
            raise errors.DeviceWrong(
                f"{device.device} has another size", needed=f"{size} bytes", had=f"{seen} bytes"
            )
    except BaseException:
        unmake(folder, chain, lossy=True)
        raise
    return chain


def unmake(folder: Path, chain: Chain, *, lossy: bool = False) -> None:
    """Take it apart, whatever of it there is. Raises Busy, having changed nothing, while the device is in use."""
    disk = folder / "disk"
    if chain.boot == processes.boot_id():
        runs = chain.process is not None and processes.alive(chain.process)
        for device in _devices(disk, chain, runs):
            loop.detach(device, lossy=lossy or not runs)
        passed("nbdfuse.detached")
        if runs:
            mounts.unmount(disk)
            assert chain.process is not None
            processes.wait(chain.process, 10.0)
        mounts.abandon(disk)
        processes.sweep(chain.token)
    _forget(folder)


def _devices(disk: Path, chain: Chain, runs: bool) -> list[Loop]:
    """The recorded device, and one that was attached without having been recorded (killed in between)."""
    found = {chain.device} if chain.device is not None else set()
    if runs:
        with contextlib.suppress(OSError):
            unrecorded = loop.find(disk / "nbd")
            found |= {unrecorded} if unrecorded is not None else set()
    return [device for device in found if loop.stands(device)]


def _awaited(folder: Path, process: ProcessRecord, timeout: float) -> Path:
    """The file, once nbdfuse serves it."""
    disk = folder / "disk"
    for _ in processes.ticks(timeout):
        if mounts.at(disk) is not None:
            return disk / "nbd"
        if not processes.alive(process):
            said = (folder / _LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            raise errors.Unreachable(
                f"{PROGRAM} ended at its start: {' / '.join(said) or 'no output'}",
                needed="a file of the volume",
                had="none",
                remedy="See that the export stands and that this host may reach it, then try again.",
            )
    raise errors.TimedOut(f"{PROGRAM} shows no file", needed=f"one within {timeout:g} s", had="none")


def _forget(folder: Path) -> None:
    """The record goes last."""
    disk = folder / "disk"
    if disk.is_dir():
        disk.rmdir()  # refuses while anything is mounted or left there
    for entry in folder.iterdir():
        if entry.name != _RECORD:
            entry.unlink()
    (folder / _RECORD).unlink(missing_ok=True)
    shutil.rmtree(folder)
