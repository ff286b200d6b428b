# SPDX-License-Identifier: Apache-2.0
"""One qemu-storage-daemon: its command line, its start, its end, and finding it again. One daemon holds one volume (one blast
radius, one control group) and has one door: NBD on a unix socket, NBD on TCP, or a FUSE file. Every node is named and has its
format and driver spelled out; nothing is probed. Must never decide what is exported to whom.

Doors. A daemon has a single NBD server, so it listens at one address only; and a writable NBD export keeps its node from being
resized, so a volume whose size shall change under its users goes out by FUSE. Host cache: `direct` off uses the host's page
cache, works on every file system and is as safe, because a guest's flush becomes an fdatasync; on, memory is not spent twice."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from breezeblock.host import processes, sockets
from breezeblock.host.backing_chain import Layer
from breezeblock.host.processes import ProcessRecord
from breezeblock.host.qmp import Qmp, connected
from breezeblock.model import errors

PROGRAM = "qemu-storage-daemon"
#: The id of the one export of a daemon.
EXPORT = "volume"
#: sockaddr_un holds 108 bytes with the closing zero.
_SOCKET_PATH = 107
#: Seconds in which a daemon has noticed that a client hung up.
_PASSING = 2.0


class UnixDoor(msgspec.Struct, frozen=True, kw_only=True, tag="unix"):
    """NBD on a unix socket."""

    path: str
    name: str
    description: str
    writable: bool = True


class TcpDoor(msgspec.Struct, frozen=True, kw_only=True, tag="tcp"):
    """NBD on TCP. `certificates` is a folder with ca-cert.pem, server-cert.pem and server-key.pem: with it only clients with a
    certificate of that authority come in."""

    host: str
    port: int
    name: str
    description: str
    certificates: str | None = None
    writable: bool = True


class FuseDoor(msgspec.Struct, frozen=True, kw_only=True, tag="fuse"):
    """The volume as the file `path` (existing, empty). For ONE user that writes one request at a time: a loop device with direct
    I/O off. Concurrent direct writes corrupt data without an error."""

    path: str
    writable: bool = True


Door = UnixDoor | TcpDoor | FuseDoor


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a daemon. `process` is None from the moment it is decided (and on disk) until it runs."""

    token: str
    folder: str
    monitor: str
    door: Door
    log: str = "daemon.log"
    #: a folder with ca-cert.pem, client-cert.pem and client-key.pem, for a daemon whose node is another host's export over TLS.
    client_certificates: str | None = None
    process: ProcessRecord | None = None


def node_name(path: str, kind: str = "n") -> str:
    """The node of an image file ("n": its format, "f": its file), found again from the path alone, whichever way it is spelled.
    At most 31 bytes."""
    return f"{kind}-{hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:24]}"


def image_node(layers: Sequence[Layer], *, writable: bool, direct: bool) -> dict[str, Any]:
    """The options of the active layer's node with everything below it. Layers below are read-only."""
    layer, below = layers[0], layers[1:]
    device = Path(layer.path).is_block_device()
    node: dict[str, Any] = {
        "driver": layer.format,
        "node-name": node_name(layer.path),
        "read-only": not writable,
        "discard": "unmap",
        "file": {
            "driver": "host_device" if device else "file",
            "node-name": node_name(layer.path, "f"),
            "filename": layer.path,
            "read-only": not writable,
            "cache": {"direct": direct},
            "aio": "threads",
            "discard": "unmap",
        },
    }
    if layer.format == "qcow2":
        node["backing"] = image_node(below, writable=False, direct=direct) if below else None
    return node


def relay_node(socket: str, export: str, *, writable: bool) -> dict[str, Any]:
    """The node of a daemon that passes another daemon's NBD export on. It does not wait for that one when it has gone."""
    return {
        "driver": "nbd",
        "node-name": "relay",
        "read-only": not writable,
        "export": export,
        "server": {"type": "unix", "path": socket},
    }


def remote_node(
    host: str, port: int, export: str, *, writable: bool, patience: int, secure: bool, hostname: str | None
) -> dict[str, Any]:
    """The node of a daemon on the using host. A lost connection is made again; requests wait for it up to `patience` seconds."""
    node: dict[str, Any] = {
        "driver": "nbd",
        "node-name": "remote",
        "read-only": not writable,
        "export": export,
        "server": {"type": "inet", "host": host, "port": str(port)},
        "reconnect-delay": patience,
    }
    if secure:
        node["tls-creds"] = "client-tls"
        node |= {"tls-hostname": hostname} if hostname else {}
    return node


def arguments(daemon: Daemon, node: Mapping[str, Any]) -> Sequence[str]:
    """The command line. It carries the token (as the monitor's id) and no secret."""
    door, name = daemon.door, node["node-name"]
    argv = [
        PROGRAM,
        "--chardev",
        _options("socket", id=daemon.token, path=daemon.monitor, server="on", wait="off"),
        "--monitor",
        f"chardev={daemon.token}",
    ]
    if daemon.client_certificates is not None:
        folder = _comma(daemon.client_certificates)
        argv += ["--object", f"tls-creds-x509,id=client-tls,dir={folder},endpoint=client,verify-peer=on"]
    argv += ["--blockdev", msgspec.json.encode(node).decode()]
    writable = "on" if door.writable else "off"
    if isinstance(door, FuseDoor):
        export = {"type": "fuse", "mountpoint": door.path, "growable": "off", "allow-other": "off"}
    else:
        export = {"type": "nbd", "name": door.name, "description": door.description}
        if isinstance(door, UnixDoor):
            argv += ["--nbd-server", f"addr.type=unix,addr.path={_comma(door.path)}"]
        else:
            server = f"addr.type=inet,addr.host={_comma(door.host)},addr.port={door.port}"
            if door.certificates is not None:
                folder = _comma(door.certificates)
                argv += ["--object", f"tls-creds-x509,id=tls,dir={folder},endpoint=server,verify-peer=on"]
                server += ",tls-creds=tls"
            argv += ["--nbd-server", server]
    kind = export.pop("type")
    argv += [
        "--export",
        _options(f"type={kind}", id=EXPORT, **{"node-name": name}, writable=writable, **export),
    ]
    return argv


def start(daemon: Daemon, node: Mapping[str, Any], *, timeout: float = 20.0) -> Daemon:
    """Start it and wait until its monitor answers and its export stands. The caller has stored `daemon` before."""
    folder = Path(daemon.folder)
    for stale in (daemon.monitor, daemon.door.path if isinstance(daemon.door, UnixDoor) else daemon.monitor):
        Path(stale).unlink(missing_ok=True)
    log = folder / daemon.log
    log.write_bytes(b"")
    process = processes.spawn(arguments(daemon, node), token=daemon.token, folder=folder, log=daemon.log)
    running = msgspec.structs.replace(daemon, process=process)
    for _ in processes.ticks(timeout):
        if not processes.alive(process):
            raise _refusal(log)
        try:
            if serves(running, timeout=timeout):
                return running
        except errors.Unreachable:
            continue
    processes.kill(process)
    raise errors.TimedOut(
        f"{PROGRAM} does not answer after its start", needed=f"an export within {timeout:g} s", had="none"
    )


def serves(daemon: Daemon, *, timeout: float = 5.0) -> bool:
    """Asks the daemon itself whether its export stands."""
    with monitor(daemon, timeout=timeout) as qmp:
        return any(
            export["id"] == EXPORT and not export["shutting-down"]
            for export in qmp.execute("query-block-exports")
        )


def stands(daemon: Daemon) -> bool:
    """Whether it runs and serves. One that hangs up is about to end: it is waited for, so that the answer is not out of date at once."""
    if not runs(daemon):
        return False
    try:
        return serves(daemon)
    except errors.Unreachable:
        if _ending(daemon):
            return False
        raise


def runs(daemon: Daemon) -> bool:
    return daemon.process is not None and processes.alive(daemon.process)


@contextlib.contextmanager
def monitor(daemon: Daemon, *, timeout: float = 5.0) -> Iterator[Qmp]:
    with connected(Path(daemon.monitor), timeout=timeout) as qmp:
        yield qmp


def close_door(daemon: Daemon) -> None:
    """End the export unless a client is connected (Busy). Afterwards nobody can come in any more. A dead daemon has no door."""
    try:
        _close_door(daemon)
    except errors.Unreachable:
        if not _ending(daemon):
            raise


def _ending(daemon: Daemon) -> bool:
    return daemon.process is None or processes.wait(daemon.process, 2.0)


def _close_door(daemon: Daemon) -> None:
    with monitor(daemon) as qmp:
        exports = {export["id"] for export in qmp.execute("query-block-exports")}
        if EXPORT not in exports:
            return
        # A client that has just gone is one for the daemon until it reads the end of the stream.
        for passed in processes.ticks(_PASSING + 5.0):
            try:
                qmp.execute("block-export-del", {"id": EXPORT, "mode": "safe"})
                break
            except errors.ProgramFailed as refused:
                if passed > _PASSING or _clients(daemon):
                    raise errors.Busy(
                        "Somebody is connected to the export",
                        needed="no client",
                        had=", ".join(_clients(daemon)) or refused.facts["description"],
                        remedy="Disconnect the volume on the host that uses it, then try again.",
                    ) from refused
        qmp.event("BLOCK_EXPORT_DELETED", lambda data: bool(data.get("id") == EXPORT), timeout=10.0)


def _clients(daemon: Daemon) -> Sequence[str]:
    door = daemon.door
    if isinstance(door, UnixDoor):
        return [client.name for client in sockets.unix_clients(door.path)]
    return [client.name for client in sockets.tcp_clients(door.port)] if isinstance(door, TcpDoor) else []


def stop(daemon: Daemon, *, polite: float = 10.0) -> None:
    """End it: it flushes and closes its images itself when it can still hear. Absent is success; nobody with its token is left."""
    if daemon.process is not None and processes.alive(daemon.process):
        with contextlib.suppress(errors.Error):
            with monitor(daemon, timeout=2.0) as qmp:
                qmp.execute("quit", timeout=polite)
        if not processes.wait(daemon.process, polite):
            processes.terminate(daemon.process, polite=polite)
    processes.sweep(daemon.token)
    for left in (daemon.monitor, daemon.door.path if isinstance(daemon.door, UnixDoor) else daemon.monitor):
        Path(left).unlink(missing_ok=True)


def socket_folder(folder: Path) -> Path:
    """Where the sockets of `folder` go: itself, or, when a socket's path would not fit into an address, a short folder of the
    runtime directory that belongs to this user alone."""
    if len(os.fsencode(folder)) + len("/monitor") <= _SOCKET_PATH:
        return folder
    base = Path("/run") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108
    mine = base / f"breezeblock-{os.geteuid()}"
    mine.mkdir(mode=0o700, exist_ok=True)
    seen = mine.lstat()
    if seen.st_uid != os.geteuid() or seen.st_mode & 0o077 or mine.is_symlink():
        raise errors.Failed(
            f"{mine} is not private",
            needed="a folder of this user with mode 0700",
            had=f"owner {seen.st_uid}",
            remedy=f"Remove {mine}, or choose a data folder with a shorter path.",
        )
    short = mine / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    short.mkdir(mode=0o700, exist_ok=True)
    return short


def _refusal(log: Path) -> errors.Error:
    """What its last words mean."""
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    words = " / ".join(line.removeprefix(f"{PROGRAM}: ") for line in said) or "nothing"
    if "lock" in words and "another process" in words.lower():
        return errors.Busy(f"Another process holds the image open: {words}")
    if "No such file" in words:
        return errors.NotThere(f"The storage daemon does not find the image: {words}")
    return errors.ProgramFailed(
        f"{PROGRAM} ended at its start: {words}",
        needed="a running daemon",
        had="its end",
        remedy="Mend what it complains about; the image was not changed.",
    )


def _options(first: str, **rest: str) -> str:
    return ",".join([first, *(f"{key}={_comma(value)}" for key, value in rest.items())])


def _comma(value: str) -> str:
    """QEMU's option lists write a comma in a value twice."""
    return value.replace(",", ",,")
