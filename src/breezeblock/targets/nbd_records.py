# SPDX-License-Identifier: Apache-2.0
"""What is on disk of the NBD exports: a folder for each, with its record, sockets and logs. Owns the names, the locks and the order in
which a folder goes (its record last). Must never start or end a process."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from breezeblock.host import records, storage_daemon
from breezeblock.host.fence import Fence
from breezeblock.host.storage_daemon import Daemon
from breezeblock.model import errors
from breezeblock.model.call import Context
from breezeblock.targets.target import Mode

PREFIX = "volume-"
_RECORD = "export.json"


class NbdExportRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An export on disk. `daemon.process` None: an intent. `admitted`: the hosts let in, this one's name among them or not."""

    name: str
    volume_id: str
    mode: Mode
    size: int
    path: str
    format: str
    daemon: Daemon
    relay: Daemon | None = None
    admitted: tuple[str, ...] = ()


class ExportRecords:
    """The records under `run`, one export each."""

    def __init__(self, run: Path) -> None:
        self.folder, self._fence = run / "exports", Fence(run / "fences")

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fence.sweep()

    def names(self) -> Sequence[str]:
        if not self.folder.is_dir():
            return []
        return sorted(entry.parent.name for entry in self.folder.glob(f"*/{_RECORD}"))

    def load(self, name: str) -> NbdExportRecord | None:
        if not name.startswith(PREFIX) or os.sep in name:
            raise errors.BadRequest(
                f"{name!r} is no export of this service", needed=f"{PREFIX}<id>", had=name
            )
        return records.load(self.folder / name / _RECORD, NbdExportRecord)

    def save(self, record: NbdExportRecord) -> None:
        records.save(self.folder / record.name / _RECORD, record)

    @contextlib.contextmanager
    def locked(self, name: str, ctx: Context) -> Iterator[None]:
        """The export's lock, as its owner; its file goes with the export. Raises Fenced when somebody newer has been here."""
        with records.locked(self.folder / f"{name}.lock"):
            try:
                self._fence.require(name, ctx)
                yield
            finally:
                if not (self.folder / name).exists():
                    records.discard_lock(self.folder / f"{name}.lock")

    def present(self, name: str) -> NbdExportRecord:
        record = self.load(name)
        if record is None:
            raise errors.NotThere(
                f"{name} is not exported", needed="an export", had="none", remedy="Export the volume again."
            )
        return record

    def forget(self, name: str) -> None:
        folder = self.folder / name
        near = storage_daemon.socket_folder(folder) if folder.is_dir() else folder
        if near != folder:
            shutil.rmtree(near, ignore_errors=True)
        record = folder / _RECORD
        if folder.is_dir():
            for entry in folder.iterdir():
                if entry != record:
                    entry.unlink()
            record.unlink(missing_ok=True)
            folder.rmdir()
