# SPDX-License-Identifier: Apache-2.0
"""An NBD export as a loop device of this host, without the kernel's NBD: nbdfuse shows it as a file, a loop device makes it a block
device. Owns that chain's making, looking and unmaking. nbdfuse is an exporter: it outlives this process, its record is on disk. Must
never take a chain apart while the device is in use, and never leave half of one.

    made:    record with tokens -> gate (of a remote export) -> nbdfuse on <folder>/disk -> loop device on its file; record after each
    unmade:  loop device (flushed, awaited) -> unmount (nbdfuse ends itself, having flushed) -> gate -> whoever has a token -> record

The gate is a storage daemon on this host between nbdfuse and another host's export: it speaks TLS (nbdfuse takes no certificates) and
connects again when the network or the exporter goes away for a while; requests wait meanwhile. nbdfuse alone would give up at once.

Why nbdfuse and not a second storage daemon's FUSE export: that one corrupts concurrent writes; nbdfuse passed every verification with
direct I/O on and off. The loop device still has it off, like every one on FUSE: one rule, checked in one place."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from breezeblock.host import loop, mounts, processes, sockets, storage_daemon
from breezeblock.host.killpoint import reach as passed
from breezeblock.host.loop import Loop
from breezeblock.host.processes import ProcessRecord
from breezeblock.host.records import load, save
from breezeblock.host.storage_daemon import Daemon, UnixDoor
from breezeblock.model import errors

PROGRAM = "nbdfuse"
_RECORD = "connection.json"
_LOG = "nbdfuse.log"


#: Seconds for which requests wait for a lost remote export before they fail.
PATIENCE = 60


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """An export on another host. `certificates`: this host's own, for TLS."""

    host: str
    port: int
    export: str
    certificates: str | None = None
    hostname: str | None = None


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """A connection on disk. `process` and `device` None: not reached yet. `boot`: the boot in which all this is true."""

    uri: str
    volume_id: str
    size: int
    boot: str
    token: str
    gate: Daemon | None = None
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
    if chain.gate is not None and not storage_daemon.runs(chain.gate):
        return "the gate to the remote export does not run"
    if not sockets.is_connected(_server(chain), chain.process.pid):
        return "the export behind it has ended"
    if mounts.at(folder / "disk") is None:
        return f"{folder / 'disk'} is not mounted"
    if chain.device is None or not loop.stands(chain.device):
        return "its loop device is gone"
    return ""


def make(
    folder: Path,
    uri: str,
    volume_id: str,
    size: int,
    *,
    remote: Remote | None = None,
    writable: bool = True,
    timeout: float = 20.0,
) -> Chain:
    """Build the chain; what is left of an earlier one was unmade before. On failure nothing is left."""
    disk = folder / "disk"
    disk.mkdir(parents=True, exist_ok=True, mode=0o700)
    chain = Chain(
        uri=uri,
        volume_id=volume_id,
        size=size,
        boot=processes.boot_id(),
        token=processes.new_token(),
        gate=_gate(folder, remote, writable) if remote is not None else None,
    )
    save(folder / _RECORD, chain)
    passed("nbdfuse.intended")
    try:
        if chain.gate is not None and remote is not None:
            chain = msgspec.structs.replace(chain, gate=_started(chain.gate, remote, writable))
            save(folder / _RECORD, chain)
            assert isinstance(chain.gate, Daemon)
            assert isinstance(chain.gate.door, UnixDoor)
            uri = f"nbd+unix:///{quote(remote.export)}?socket={quote(chain.gate.door.path)}"
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
    """Take it apart, whatever of it there is. Raises Busy, having changed nothing, while the device is in use; Failed, also having
    changed nothing, when its last writes cannot be flushed (the export is dead) and the caller does not accept their loss."""
    disk = folder / "disk"
    if chain.boot == processes.boot_id():
        runs = chain.process is not None and processes.alive(chain.process)
        for device in _devices(disk, chain, runs):
            loop.detach(device, lossy=lossy)
        passed("nbdfuse.detached")
        if runs:
            mounts.unmount(disk)
            assert chain.process is not None
            processes.wait(chain.process, 10.0)
        if chain.gate is not None:
            storage_daemon.stop(chain.gate)
        processes.sweep(chain.token)
        mounts.abandon(
            disk
        )  # after the last that could still mount it: a start that was killed may be just about to
    _forget(folder)


def _server(chain: Chain) -> str:
    """The socket that nbdfuse is connected to."""
    if chain.gate is not None:
        assert isinstance(chain.gate.door, UnixDoor)
        return chain.gate.door.path
    return parse_qs(urlsplit(chain.uri).query)["socket"][0]


def _gate(folder: Path, remote: Remote, writable: bool) -> Daemon:
    near = storage_daemon.socket_folder(folder)
    return Daemon(
        token=processes.new_token(),
        folder=str(folder),
        monitor=str(near / "monitor"),
        log="gate.log",
        door=UnixDoor(path=str(near / "gate"), name=remote.export, description="", writable=writable),
        client_certificates=remote.certificates,
    )


def _started(gate: Daemon, remote: Remote, writable: bool) -> Daemon:
    node = storage_daemon.remote_node(
        remote.host,
        remote.port,
        remote.export,
        writable=writable,
        patience=PATIENCE,
        secure=remote.certificates is not None,
        hostname=remote.hostname,
    )
    return storage_daemon.start(gate, node)


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
    near = storage_daemon.socket_folder(folder)
    if near != folder:
        shutil.rmtree(near, ignore_errors=True)
    if disk.is_dir():
        disk.rmdir()  # refuses while anything is mounted or left there
    for entry in folder.iterdir():
        if entry.name != _RECORD:
            entry.unlink()
    (folder / _RECORD).unlink(missing_ok=True)
    shutil.rmtree(folder)
