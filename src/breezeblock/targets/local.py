# SPDX-License-Identifier: Apache-2.0
"""Volumes that are used on the host that stores them, without any exporter: the connection says where the file or device is, and the
host makes the loop device. Owns only the record that a volume has been given out. Nothing here runs, so nothing here can die.

Connection info: driver_volume_type "local", data {volume_id, size, access_mode} and device_path (a block device) or path and format
"raw" (a file). A snapshot of a volume in use is the driver's own (a reflink), so there is no live port."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from breezeblock.host import block_device, loop
from breezeblock.host.fence import Fence
from breezeblock.host.records import discard_lock, load, locked, save
from breezeblock.model import errors
from breezeblock.model.call import Context
from breezeblock.model.observation import Observation
from breezeblock.model.reach import BlockReach, FileReach, Live, Reach
from breezeblock.targets.target import ConnectionInfo, Export, Mode, Session, TargetCapabilities

_PREFIX = "volume-"


class LocalExportRecord(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    volume_id: str
    mode: Mode
    size: int
    path: str
    block: bool


class LocalTarget:
    """Target (see target.py). `run`: a private folder that outlives the service, not the volumes."""

    def __init__(self, run: Path, *, host: str | None = None) -> None:
        self._records, self._fence = run / "local", Fence(run / "fences")
        self._host = host or socket.gethostname()

    @property
    def capabilities(self) -> TargetCapabilities:
        # live_resize: the loop device follows its file (LocalConnector.extend_volume), with a file system mounted on it too.
        return TargetCapabilities(protocol="local", remote=False, live_snapshot=False, live_resize=True)

    def accepts(self, reach: Reach) -> bool:
        return isinstance(reach, BlockReach) or reach.format == "raw"

    def start(self) -> None:
        self._records.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fence.sweep()

    def name(self, volume_id: str) -> str:
        return _PREFIX + volume_id

    def export(self, reach: Reach, volume_id: str, size: int, mode: Mode, ctx: Context) -> Export:
        ctx.check()
        if not self.accepts(reach):
            raise errors.Unsupported(
                "This cannot be used without an exporter",
                needed="a raw file or a block device",
                had=str(reach),
            )
        if not Path(reach.path).exists():
            raise errors.NotThere(f"{reach.path} is not there", needed="the volume's file", had="nothing")
        record = LocalExportRecord(
            name=self.name(volume_id),
            volume_id=volume_id,
            mode=mode,
            size=size,
            path=reach.path,
            block=not isinstance(reach, FileReach),
        )
        with self._held(record.name, ctx):
            before = self._load(record.name)
            if before is not None and before.mode is not mode:
                raise errors.Busy(
                    f"{record.name} is exported already", needed=f"mode {mode}", had=f"mode {before.mode}"
                )
            save(self._record(record.name), record)
        return _export(record)

    def admit(self, export: Export, host: Mapping[str, Any], ctx: Context) -> ConnectionInfo:
        ctx.check()
        with self._held(export.name, ctx):
            record = self._present(export.name)
        who = host.get("host")
        if who != self._host:
            raise errors.BadRequest(
                "This volume can be used on the host that stores it only",
                needed=f"host {self._host}",
                had=f"host {who}",
                remedy="Attach it there, or choose a volume type whose backend exports over the network.",
            )
        place = {"device_path": record.path} if record.block else {"path": record.path, "format": "raw"}
        data = {"volume_id": record.volume_id, "size": record.size, "access_mode": str(record.mode), **place}
        return ConnectionInfo(driver_volume_type="local", data=data)

    def dismiss(self, export: Export, host: Mapping[str, Any] | None, ctx: Context) -> bool:
        """Nobody is let in one by one: the only host there is may use its own files."""
        return False

    def unexport(self, export: Export, ctx: Context, *, force: bool = False) -> None:
        ctx.check()
        with self._held(export.name, ctx):
            holding = [] if force else self.sessions(export)
            if holding:
                raise errors.Busy(
                    f"{export.name} is held open",
                    needed="no session",
                    had=", ".join(session.client for session in holding),
                    remedy="Disconnect the volume first.",
                )
            self._record(export.name).unlink(missing_ok=True)

    def sessions(self, export: Export) -> Sequence[Session]:
        record = self._load(export.name)
        if record is None:
            return []
        if record.block:
            return [Session(who, record.path) for who in block_device.users(record.path)]
        found = loop.find(Path(record.path))
        return [] if found is None else [Session(found.device, "; ".join(loop.holders(found)))]

    def find(self, name: str) -> Observation[Export]:
        record = self._load(name)
        if record is None:
            return Observation.not_done("no such export")
        if not Path(record.path).exists():
            return Observation.partial(_export(record), f"{record.path} is not there")
        return Observation.done(_export(record))

    def list(self) -> Sequence[str]:
        return (
            sorted(entry.stem for entry in self._records.glob(f"{_PREFIX}*.json"))
            if self._records.is_dir()
            else []
        )

    def resized(self, export: Export, size: int, ctx: Context) -> None:
        ctx.check()
        with self._held(export.name, ctx):
            save(self._record(export.name), msgspec.structs.replace(self._present(export.name), size=size))

    def live(self, export: Export) -> Live | None:
        return None

    @contextlib.contextmanager
    def _held(self, name: str, ctx: Context) -> Iterator[None]:
        """The export's lock, as its owner; its file goes with the record. Raises Fenced when somebody newer has been here."""
        record = self._record(name)
        lock = record.with_suffix(".lock")
        with locked(lock):
            try:
                self._fence.require(name, ctx)
                yield
            finally:
                if not record.exists():
                    discard_lock(lock)

    def _present(self, name: str) -> LocalExportRecord:
        record = self._load(name)
        if record is None:
            raise errors.NotThere(
                f"{name} is not exported", needed="an export", had="none", remedy="Export the volume again."
            )
        return record

    def _load(self, name: str) -> LocalExportRecord | None:
        return load(self._record(name), LocalExportRecord)

    def _record(self, name: str) -> Path:
        if not name.startswith(_PREFIX) or os.sep in name:
            raise errors.BadRequest(
                f"{name!r} is no export of this service", needed=f"{_PREFIX}<id>", had=name
            )
        return self._records / f"{name}.json"


def _export(record: LocalExportRecord) -> Export:
    return Export(
        name=record.name,
        volume_id=record.volume_id,
        mode=record.mode,
        size=record.size,
        provider={"path": record.path},
    )
