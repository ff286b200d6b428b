# SPDX-License-Identifier: Apache-2.0
"""What must be true whenever nothing runs, however often the service was killed before: statuses rest, the backend holds exactly what the
rows say, usage is the sum of the rows, nothing is left of finished work, and every process, export, loop device and mount belongs to an
attachment. Looks from outside: at the database, the folders, /proc and /sys; never asks the service, never changes anything."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import func, select

from breezeblock.drivers.driver import Kind
from breezeblock.drivers.file.folder import Folder
from breezeblock.drivers.file.tree import Tree, TreeReader
from breezeblock.model import status as states
from breezeblock.model.units import GiB
from breezeblock.store import quotas
from breezeblock.store.database import Store
from breezeblock.store.schema import (
    attachments,
    debts,
    journal,
    operation_keys,
    operations,
    reservations,
    snapshots,
    volumes,
)
from breezeblock.store.transaction import Tx


class Rows(msgspec.Struct, frozen=True):
    """One look at the database."""

    volumes: Mapping[str, Any]
    snapshots: Mapping[str, Any]
    attachments: Mapping[str, Any]
    unfinished: list[str]
    left: Mapping[str, int]
    unsettled: int
    recount: list[Any]
    used: Mapping[tuple[str, str], int]


def read_rows(tx: Tx) -> Rows:
    count = select(func.count())
    left = {
        table.name: int(tx.execute(count.select_from(table)).scalar_one())
        for table in (operations, journal, operation_keys, debts)
    }
    found = [{row.id: row for row in tx.rows(select(table))} for table in (volumes, snapshots, attachments)]
    projects = {row.project_id for one in found for row in one.values()}
    return Rows(
        volumes=found[0],
        snapshots=found[1],
        attachments=found[2],
        unfinished=[
            f"{row.kind} {row.id} at {row.task} {row.error}"
            for row in tx.rows(
                select(operations.c.kind, operations.c.id, operations.c.task, operations.c.error)
            )
        ],
        left=left,
        unsettled=int(
            tx.execute(count.select_from(reservations).where(reservations.c.ended_us.is_(None))).scalar_one()
        ),
        recount=quotas.recount(tx),
        used={(p, key): n for p in projects for key, n in quotas.used(tx, p).items()},
    )


class Truth:
    """`run` are the folders of exports, one a backend; `marks` tell this service's processes, devices and mounts by their paths."""

    def __init__(self, url: str, backend: Path, data: Path) -> None:
        self._store, self.backend, self._data = Store(url, threads=1), backend, data
        self._run = data / "run" / "local"
        self._marks = (f"{data.parent}/", f"{os.path.realpath(backend)}/")

    def close(self) -> None:
        self._store.close()

    def rows(self) -> Rows:
        return self._store.read_sync(read_rows)

    def count_reservations(self) -> int:
        query = select(func.count()).select_from(reservations)
        return self._store.read_sync(lambda tx: int(tx.execute(query).scalar_one()))

    def busy(self) -> bool:
        """Is any operation unfinished?"""
        return self._store.read_sync(lambda tx: tx.row(select(operations.c.id).limit(1))) is not None

    def settled(self, seconds: float) -> None:
        """Once no operation is unfinished. Fails, naming those that are, when the seconds are over."""
        limit = time.monotonic() + seconds
        while self.busy():
            assert time.monotonic() < limit, f"still unfinished: {self.rows().unfinished}"
            time.sleep(0.005)

    def tree(self) -> Tree:
        return TreeReader(Folder(self.backend)).read()

    # -- the invariants --------------------------------------------------------------------------------------------

    def problems(self, *, stale: bool = False) -> list[str]:
        """Everything that is not as it must be; call it when no operation is unfinished. `stale`: an attachment whose device broke and
        could not be had again is there, so the host is not compared."""
        rows = self.rows()
        return [
            *_statuses(rows),
            *_remains(rows),
            *_usage(rows),
            *self._backend_is_rows(rows),
            *([] if stale else self._host_is_rows(rows)),
        ]

    def _backend_is_rows(self, rows: Rows) -> Iterator[str]:
        tree = self.tree()
        if tree.unreadable:
            yield f"unreadable layers: {tree.unreadable}"
        wanted = {f"volume-{id}": row for id, row in rows.volumes.items()}
        wanted |= {f"snapshot-{id}": row for id, row in rows.snapshots.items()}
        for name in sorted(tree.names.keys() - wanted.keys()):
            yield f"object without a row: {name}"
        for name, row in wanted.items():
            if name not in tree.names:
                if row.object or not row.status.startswith("error"):
                    yield f"row without an object: {name} ({row.status})"
                continue
            layer = tree.layers.get(tree.names[name])
            if layer is None:
                yield f"{name} points to no layer: {tree.names[name]}"
            elif row.status in ("available", "in-use") and layer.size != row.size * GiB:
                yield f"{name} has {layer.size} bytes, its row says {row.size} GiB"
        needed = {file for name in tree.names for file in tree.chain(tree.names[name])}
        for file in sorted(tree.layers.keys() - needed):
            yield f"layer that nothing needs: {file}"
        for entry in sorted(os.listdir(self.backend / "work")):
            yield f"left in work/: {entry}"
        for kind in Kind:
            for link in Folder(self.backend).names(kind).iterdir():
                if not link.is_symlink():
                    yield f"not a link: {link}"

    def _host_is_rows(self, rows: Rows) -> Iterator[str]:
        exported: dict[str, str] = {}
        connected: list[Any] = []
        for row in rows.attachments.values():
            if row.export:
                exported[f"volume-{row.volume_id}"] = msgspec.json.decode(row.export)["target"]
            if row.device:
                connected.append(row)
        by_nbd = sorted(name for name, target in exported.items() if target == "nbd")
        if self._nbd_exports() != by_nbd:
            yield f"nbd exports {self._nbd_exports()}, attachments say {by_nbd}"
        local = sorted(name for name, target in exported.items() if target == "local")
        found = sorted(path.stem for path in self._run.glob("local/volume-*.json"))
        if found != local:
            yield f"local exports {found}, attachments say {local}"
        fused = sum(msgspec.json.decode(row.device)["how"].startswith("nbdfuse") for row in connected)
        looped = sum("loop" in msgspec.json.decode(row.device)["how"] for row in connected)
        programs = Counter({"qemu-storage-daemon": len(by_nbd), "nbdfuse": fused})
        if self.programs() != +programs:
            yield f"processes {dict(self.programs())}, attachments need {dict(+programs)}"
        if len(self.loops()) != looped:
            yield f"loop devices {self.loops()}, attachments need {looped}"
        if len(self.mounts()) != fused:
            yield f"mounts {self.mounts()}, attachments need {fused}"
        for row in connected:
            path = msgspec.json.decode(row.device)["path"]
            if path not in self.loops():
                yield f"attachment {row.id} says {path}, which is no device of this service"

    def _nbd_exports(self) -> list[str]:
        return sorted(path.parent.name for path in self._run.glob("exports/volume-*/export.json"))

    def break_devices(self) -> None:
        """The one thing here that changes anything: end what makes devices of exports, as an accident would."""
        for pid, name in self._processes():
            if name == "nbdfuse":
                os.kill(pid, signal.SIGKILL)
        limit = time.monotonic() + 10
        while self.programs()["nbdfuse"]:
            assert time.monotonic() < limit, "nbdfuse does not die"
            time.sleep(0.01)
        for device, file in self.loops().items():
            if not file.startswith(f"{self._data}/"):  # a file of the backend: its device just goes
                subprocess.run(["losetup", "-d", device], check=True, timeout=30)

    def programs(self) -> Counter[str]:
        """The programs that this service started and that still run, by name."""
        return Counter(name for _, name in self._processes())

    def _processes(self) -> Iterator[tuple[int, str]]:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if (entry / "stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z":
                        continue
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    place = os.fsencode(f"{os.readlink(entry / 'cwd')}/")
                    told = b"\0".join([*words, place]).decode(errors="replace")
                    if int(entry.name) != os.getpid() and any(mark in told for mark in self._marks):
                        yield int(entry.name), Path(os.fsdecode(words[0])).name

    def loops(self) -> dict[str, str]:
        """Device -> backing file, of this service."""
        found = {}
        for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
            with contextlib.suppress(OSError):
                text = backing.read_text().strip()
                if any(text.startswith(mark) for mark in self._marks):
                    found[f"/dev/{backing.parts[3]}"] = text
        return found

    def mounts(self) -> list[str]:
        points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        return [point for point in points if point.startswith(f"{self._data}/")]


def _statuses(rows: Rows) -> Iterator[str]:
    for what, table, found in (
        ("volume", states.VOLUME, rows.volumes),
        ("snapshot", states.SNAPSHOT, rows.snapshots),
        ("attachment", states.ATTACHMENT, rows.attachments),
    ):
        for id, row in found.items():
            status = row.attach_status if what == "attachment" else row.status
            if status not in table:
                yield f"{what} {id} has the unknown status {status}"
            elif table[status].holder is states.Holder.OPERATION:
                yield f"{what} {id} is {status} and no operation holds it"
            if row.operation_id is not None:
                yield f"{what} {id} ({status}) names the finished operation {row.operation_id}"
    for id, row in rows.volumes.items():
        mine = [one.attach_status for one in rows.attachments.values() if one.volume_id == id]
        if any(one.startswith("error_") for one in mine):
            continue  # shown until somebody ends it
        if row.status == "in-use" and "attached" not in mine:
            yield f"volume {id} is in-use, its attachments are {mine}"
        if row.status == "available" and mine:
            yield f"volume {id} is available, its attachments are {mine}"
        if (row.attach_status == "attached") != ("attached" in mine):
            yield f"volume {id} says {row.attach_status}, its attachments are {mine}"


def _remains(rows: Rows) -> Iterator[str]:
    for table, count in rows.left.items():
        if count:
            yield f"{count} rows left in {table}"
    if rows.unsettled:
        yield f"{rows.unsettled} reservations of finished operations are not settled"


def _usage(rows: Rows) -> Iterator[str]:
    if rows.recount:
        yield f"cached usage differs from the charges: {rows.recount}"
    real: Counter[tuple[str, str]] = Counter()
    for noun, found in (("volumes", rows.volumes), ("snapshots", rows.snapshots)):
        for row in found.values():
            real[row.project_id, noun] += 1
            real[row.project_id, "gigabytes"] += row.size
    plain = {key: n for key, n in rows.used.items() if n and key[1] in ("volumes", "snapshots", "gigabytes")}
    if plain != dict(real):
        yield f"usage {plain}, the rows make {dict(real)}"
