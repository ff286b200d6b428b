# SPDX-License-Identifier: Apache-2.0
"""Volumes leave this host by NBD: each through a qemu-storage-daemon of its own on a unix socket, and, once another host has been
admitted, through a relay daemon on TCP. Owns the exports' records, who is admitted and who is connected. Must never end an export
that somebody holds open, and never hand out a connection that the host asking cannot use.

Order of an export: record with a fresh token (the intent) -> daemon -> record with the process. Killed in between, the token finds
the daemon again, and the next export ends it and starts over: nobody can be connected to an export that was never announced.
Order of an unexport: relay -> door (refused while a client is connected) -> daemon -> folder, the record last.

Instances. A storage daemon that is killed takes with it what it had acknowledged and not flushed (a qcow2 image's maps live in its
memory). A client that silently connected again would go on as if those writes were there. So every start of a daemon exports under a
name of its own, volume-<id>.<token>: clients of the dead one find nothing to come back to and see an I/O error, as from a lost disk;
who connects anew asks `admit` for the new name.

Two daemons for a remote host: the one that holds the image never listens on the network and parses no stranger's bytes, the local
path does not change when a remote host comes or goes, and TCP closes with the last remote admission."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from breezeblock.host import live_image, processes, sockets, storage_daemon
from breezeblock.host.backing_chain import Layer, read_chain
from breezeblock.host.executor import find_program
from breezeblock.host.killpoint import reach as passed
from breezeblock.host.storage_daemon import Daemon, UnixDoor
from breezeblock.model import errors
from breezeblock.model.call import Context
from breezeblock.model.observation import Observation
from breezeblock.model.reach import BlockReach, FileReach, Live, Reach
from breezeblock.targets import relay
from breezeblock.targets.nbd_records import PREFIX, ExportRecords, NbdExportRecord
from breezeblock.targets.relay import Listen
from breezeblock.targets.target import ConnectionInfo, Export, Mode, Session, TargetCapabilities


class NbdTarget:
    """Target (see target.py). `run`: a private folder that outlives the service, not the volumes."""

    def __init__(
        self, run: Path, *, listen: Listen | None = None, host: str | None = None, direct: bool = False
    ) -> None:
        self._records = ExportRecords(run)
        self._listen, self._direct = listen, direct
        self._host = host or socket.gethostname()

    @property
    def capabilities(self) -> TargetCapabilities:
        return TargetCapabilities(
            protocol="nbd",
            remote=self._listen is not None,
            live_snapshot=True,
            live_resize=False,
            multiattach=False,
        )

    def accepts(self, reach: Reach) -> bool:
        return isinstance(reach, BlockReach) or reach.format in ("raw", "qcow2")

    def start(self) -> None:
        find_program(storage_daemon.PROGRAM)
        self._records.start()

    def name(self, volume_id: str) -> str:
        return PREFIX + volume_id

    def export(self, reach: Reach, volume_id: str, size: int, mode: Mode, ctx: Context) -> Export:
        ctx.check()
        if not self.accepts(reach):
            raise errors.Unsupported(
                "NBD cannot export this", needed="a raw or qcow2 file, or a block device", had=str(reach)
            )
        format = reach.format if isinstance(reach, FileReach) else "raw"
        name = self.name(volume_id)
        with self._records.locked(name, ctx):
            record = self._records.load(name)
            if record is not None and storage_daemon.stands(record.daemon):
                if record.mode is not mode:
                    raise errors.Busy(
                        f"{name} is exported already", needed=f"mode {mode}", had=f"mode {record.mode}"
                    )
                self._catch_up(record, reach.path, format)
                return _export(self._grown(record, size))
            if record is not None:
                storage_daemon.stop(record.daemon)
            return _export(self._begun(name, read_chain(reach.path, format), volume_id, size, mode, record))

    def admit(self, export: Export, host: Mapping[str, Any], ctx: Context) -> ConnectionInfo:
        ctx.check()
        who = host.get("host")
        if not isinstance(who, str) or not who:
            raise errors.BadRequest(
                "The connector does not say which host it is", needed="the key 'host'", had=sorted(host)
            )
        with self._records.locked(export.name, ctx):
            record = self._records.present(export.name)
            if who == self._host:
                way: Mapping[str, Any] = {"uri": _unix_uri(record), "tls": False}
            else:
                record = self._relayed(record, who)
                assert self._listen is not None
                assert record.relay is not None
                way = relay.connection(self._listen, record.relay)
            if who not in record.admitted:
                record = msgspec.structs.replace(record, admitted=(*record.admitted, who))
                self._records.save(record)
        return ConnectionInfo(
            driver_volume_type="nbd",
            data={
                "export": record.name,
                "volume_id": record.volume_id,
                "size": record.size,
                "identity": _identity(record.volume_id),
                "access_mode": str(record.mode),
                **way,
            },
        )

    def dismiss(self, export: Export, host: Mapping[str, Any] | None, ctx: Context) -> bool:
        ctx.check()
        with self._records.locked(export.name, ctx):
            record = self._records.load(export.name)
            if record is None:
                return False
            gone = set(record.admitted) if host is None else {host.get("host")}
            left = tuple(who for who in record.admitted if who not in gone)
            door = record.relay
            if door is not None and not any(who != self._host for who in left):
                self._refuse_while(relay.sessions(door), export.name)
                relay.closed(door)
                door = None
            self._records.save(msgspec.structs.replace(record, admitted=left, relay=door))
            return bool(left)

    def unexport(self, export: Export, ctx: Context, *, force: bool = False) -> None:
        ctx.check()
        with self._records.locked(export.name, ctx):
            record = self._records.load(export.name)
            if record is not None:
                if not force:
                    self._refuse_while(self._sessions(record), export.name)
                for daemon in (record.relay, record.daemon):
                    if daemon is not None:
                        if not force and storage_daemon.runs(daemon):
                            storage_daemon.close_door(daemon)
                        storage_daemon.stop(daemon)
                        passed("nbd.unexport.stopped")
            self._records.forget(export.name)

    def sessions(self, export: Export) -> Sequence[Session]:
        record = self._records.load(export.name)
        return [] if record is None else self._sessions(record)

    def find(self, name: str) -> Observation[Export]:
        record = self._records.load(name)
        if record is None:
            return Observation.not_done("no such export")
        if not storage_daemon.runs(record.daemon):
            what = "its start was begun" if record.daemon.process is None else "its storage daemon has ended"
            return Observation.partial(_export(record), what)
        try:
            stands = storage_daemon.serves(record.daemon)
        except (errors.Unreachable, errors.TimedOut) as silent:
            return Observation.unknown(str(silent))
        return (
            Observation.done(_export(record))
            if stands
            else Observation.partial(_export(record), "its door is closed")
        )

    def list(self) -> Sequence[str]:
        return self._records.names()

    def resized(self, export: Export, size: int, ctx: Context) -> None:
        """The daemon sees a file that grew behind it only through a resize to that same size (driver and daemon agree then)."""
        ctx.check()
        with self._records.locked(export.name, ctx):
            record = self._records.present(export.name)
            if storage_daemon.runs(record.daemon):
                self._grown(record, size)
            else:
                self._records.save(msgspec.structs.replace(record, size=size))

    def live(self, export: Export) -> Live | None:
        record = self._records.load(export.name)
        if record is None or not storage_daemon.runs(record.daemon):
            return None
        return LiveExport(record.daemon, direct=self._direct)

    def _begun(
        self,
        name: str,
        layers: Sequence[Layer],
        volume_id: str,
        size: int,
        mode: Mode,
        before: NbdExportRecord | None,
    ) -> NbdExportRecord:
        """With a daemon that was started now. One that does not start leaves what was before: nothing, or a dead export."""
        record = self._intend(name, volume_id, size, mode, layers[0], before)
        passed("nbd.export.intended")
        node = storage_daemon.image_node(layers, writable=mode is Mode.RW, direct=self._direct)
        try:
            daemon = storage_daemon.start(record.daemon, node)
        except errors.Error:
            storage_daemon.stop(record.daemon)
            if before is None:
                self._records.forget(name)
            raise
        passed("nbd.export.started")
        record = msgspec.structs.replace(record, daemon=daemon)
        self._records.save(record)
        return record

    def _grown(self, record: NbdExportRecord, size: int) -> NbdExportRecord:
        """The record with the volume's size. An image that the driver has made longer behind an idle daemon is made known to it."""
        if record.size != size:
            live_image.resize(record.daemon, size)
            record = msgspec.structs.replace(record, size=size)
            self._records.save(record)
        return record

    def _intend(
        self, name: str, volume_id: str, size: int, mode: Mode, layer: Layer, before: NbdExportRecord | None
    ) -> NbdExportRecord:
        """The record with a fresh token, on disk before anything runs. Who was admitted stays so, and a relay keeps its port."""
        folder = self._records.folder / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        near = storage_daemon.socket_folder(folder)
        token = processes.new_token()
        door = UnixDoor(
            path=str(near / "nbd"),
            name=f"{name}.{token}",
            description=_identity(volume_id),
            writable=mode is Mode.RW,
        )
        record = NbdExportRecord(
            name=name,
            volume_id=volume_id,
            mode=mode,
            size=size,
            path=layer.path,
            format=layer.format,
            admitted=before.admitted if before else (),
            relay=before.relay if before else None,
            daemon=Daemon(token=token, folder=str(folder), monitor=str(near / "monitor"), door=door),
        )
        self._records.save(record)
        return record

    def _catch_up(self, record: NbdExportRecord, path: str, format: str) -> None:
        """The driver's active file may be an overlay that the daemon was not switched to before a crash: roll forward to it."""
        writes = live_image.active(record.daemon)
        if storage_daemon.node_name(writes) == storage_daemon.node_name(path):
            return
        above: list[str] = []
        for layer in read_chain(path, format):
            if storage_daemon.node_name(layer.path) == storage_daemon.node_name(writes):
                for overlay in reversed(above):
                    live_image.snapshot(record.daemon, overlay, direct=self._direct)
                return
            above.append(layer.path)
        raise errors.DeviceWrong(
            f"{record.name} is exported from another file",
            needed=path,
            had=writes,
            remedy="Unexport the volume, then export it again.",
        )

    def _relayed(self, record: NbdExportRecord, who: str) -> NbdExportRecord:
        """With a relay that listens for other hosts."""
        if self._listen is None:
            raise errors.BadRequest(
                f"Volumes are exported to this host ({self._host}) only",
                needed=f"host {self._host}",
                had=f"host {who}",
                remedy="Configure an address and ports for NBD on the storage host, or attach on that host.",
            )
        others = (self._records.load(name) for name in self.list() if name != record.name)
        taken = {
            relay.port_of(other.relay) for other in others if other is not None and other.relay is not None
        }
        opened = relay.opened(
            self._listen,
            record.daemon,
            record.relay,
            taken,
            lambda intended: self._records.save(msgspec.structs.replace(record, relay=intended)),
        )
        record = msgspec.structs.replace(record, relay=opened)
        self._records.save(record)
        return record

    def _sessions(self, record: NbdExportRecord) -> Sequence[Session]:
        found = list(relay.sessions(record.relay)) if record.relay is not None else []
        door = record.daemon.door
        if storage_daemon.runs(record.daemon) and isinstance(door, UnixDoor):
            own = record.relay.process.pid if record.relay and record.relay.process else None
            clients = sorted({client.name for client in sockets.unix_clients(door.path) if client.pid != own})
            found += [
                Session(client, "unix") for client in clients
            ]  # one client may have several connections
        return found

    def _refuse_while(self, sessions: Sequence[Session], name: str) -> None:
        if sessions:
            who = ", ".join(session.client for session in sessions)
            raise errors.Busy(
                f"{name} is held open",
                needed="no session",
                had=f"{len(sessions)}: {who}",
                remedy="Disconnect the volume there (unmount it first), then try again.",
            )


class LiveExport:
    """Live (see model/reach.py) on an export's daemon."""

    def __init__(self, daemon: Daemon, *, direct: bool) -> None:
        self._daemon, self._direct = daemon, direct

    def active(self) -> str:
        return live_image.active(self._daemon)

    def snapshot(self, overlay: str) -> None:
        live_image.snapshot(self._daemon, overlay, direct=self._direct)

    def resize(self, size: int) -> None:
        live_image.resize(self._daemon, size)

    def fold(self, base: str | None) -> None:
        live_image.fold(self._daemon, base)


def _identity(volume_id: str) -> str:
    """Said by the export itself (NBD's description), so that a client can see which volume it reached."""
    return f"breezeblock:{volume_id}"


def _unix_uri(record: NbdExportRecord) -> str:
    door = record.daemon.door
    assert isinstance(door, UnixDoor)
    return f"nbd+unix:///{quote(door.name)}?socket={quote(door.path, safe='/')}"


def _export(record: NbdExportRecord) -> Export:
    return Export(
        name=record.name,
        volume_id=record.volume_id,
        mode=record.mode,
        size=record.size,
        provider={"uri": _unix_uri(record)},
    )
