# SPDX-License-Identifier: Apache-2.0
"""Volumes that are on this host already: a block device is handed through, a raw file becomes one by a loop device. Keeps no state of
its own: the kernel knows which loop device has which file. Must never attach a file whose format is not raw.

data: volume_id, and either device_path (a block device) or path with format "raw" (a file); size and access_mode where known. A file on
FUSE (a storage daemon's) works like any other, with direct I/O off, which loop.py checks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from breezeblock.brick.connector import Device, Identity
from breezeblock.host import block_device, loop, mounts, processes
from breezeblock.host.loop import Loop
from breezeblock.host.records import discard_lock, locked
from breezeblock.model import errors
from breezeblock.model.observation import Observation

_PROTOCOL = "local"
#: The kernel keeps the size of a file on FUSE for a second; a new one is seen after that.
_SIZE_SEEN_WITHIN = 5.0


class LocalConnector:
    """Connector (see connector.py). `state`: a private folder for locks."""

    def __init__(self, state: Path) -> None:
        self._state = state / "local"

    @property
    def protocols(self) -> frozenset[str]:
        return frozenset({_PROTOCOL})

    def properties(self) -> Mapping[str, Any]:
        return {"local": "loop" if os.geteuid() == 0 and Path("/dev/loop-control").exists() else "file"}

    def connect_volume(self, info: Mapping[str, Any], expect: Identity) -> Device:
        data = _data(info)
        if expect.volume_id and data.get("volume_id") not in (None, expect.volume_id):
            raise errors.DeviceWrong(
                "The connection is for another volume", needed=expect.volume_id, had=data["volume_id"]
            )
        path = _path(data)
        size = block_device.size(path)
        if expect.size is not None and size != expect.size:
            raise errors.DeviceWrong(
                f"{path} is not as long as the volume", needed=f"{expect.size} bytes", had=f"{size} bytes"
            )
        if path.is_block_device():
            return Device(kind="block", path=str(path), how="device", size=size)
        if self.properties()["local"] == "file":
            return _file_device(path, size)
        with locked(self._lock(path)):
            made = loop.attach(path, writable=data.get("access_mode", "rw") != "ro")
            seen = loop.size(made)
            if seen != size:
                loop.detach(made)
                raise errors.DeviceWrong(
                    f"{made.device} is not as long as {path}", needed=f"{size} bytes", had=f"{seen} bytes"
                )
        return _device(made)

    def disconnect_volume(
        self,
        info: Mapping[str, Any],
        device: Device | None,
        *,
        force: bool = False,
        ignore_errors: bool = False,
    ) -> None:
        path = _path(_data(info))
        try:
            with locked(self._lock(path)):
                found = self._found(path, device)
                if found is not None:
                    loop.detach(found, lossy=force)
                discard_lock(self._lock(path))
        except errors.Busy:
            # Never ignored: whoever has it open goes on writing to the file, whatever is said of the connection.
            raise
        except errors.Error:
            if not ignore_errors:
                raise

    def extend_volume(self, info: Mapping[str, Any]) -> int:
        """The device gets its file's size. On FUSE the kernel learns that size late, so the new one is waited for when it is named
        (data's "size")."""
        data = _data(info)
        path = _path(data)
        if path.is_block_device():
            return block_device.size(path)
        found = loop.find(path)
        if found is None:
            raise errors.NotThere(
                "The volume is not connected here", needed=f"a loop device of {path}", had="none"
            )
        wanted = data.get("size") if mounts.is_fuse(path) else None
        for _ in processes.ticks(_SIZE_SEEN_WITHIN):
            length = block_device.size(
                path
            )  # first: asking refreshes what the kernel believes of a file on FUSE
            size = loop.grow(found)
            if size == length and (wanted is None or size >= int(wanted)):
                return size
        needed = wanted or block_device.size(path)
        raise errors.TimedOut(
            f"{found.device} does not see its new size", needed=f"{needed} bytes", had=f"{size} bytes"
        )

    def observe(self, info: Mapping[str, Any]) -> Observation[Device]:
        path = _path(_data(info))
        if path.is_block_device():
            return Observation.done(
                Device(kind="block", path=str(path), how="device", size=block_device.size(path))
            )
        if self.properties()["local"] == "file" and path.exists():
            return Observation.done(_file_device(path, block_device.size(path)))
        try:
            found = loop.find(path)
        except OSError as dead:  # a FUSE file whose server has ended
            return Observation.partial(detail=f"{path} does not answer: {dead.strerror}")
        return (
            Observation.not_done(f"no loop device of {path}")
            if found is None
            else Observation.done(_device(found))
        )

    def check_valid_device(self, path: str) -> bool:
        return block_device.readable(Path(path))

    def _found(self, path: Path, device: Device | None) -> Loop | None:
        """By the file; or, when that is gone (deleted, or its FUSE server dead), by the device that was handed out."""
        if path.is_block_device():
            return None
        try:
            found = loop.find(path)
        except OSError:
            found = None
        if found is None and device is not None and "sequence" in device.state:
            recorded = Loop(
                device=device.path,
                filesystem=device.state["filesystem"],
                inode=device.state["inode"],
                sequence=device.state["sequence"],
            )
            found = (
                recorded
                if device.state.get("boot") == processes.boot_id() and loop.stands(recorded)
                else None
            )
        return found

    def _lock(self, path: Path) -> Path:
        return self._state / f"{path.name}.lock"


def _data(info: Mapping[str, Any]) -> Mapping[str, Any]:
    data = info.get("data", {})
    if info.get("driver_volume_type") != _PROTOCOL or not (data.get("device_path") or data.get("path")):
        raise errors.BadRequest(
            "This is no local connection",
            needed="driver_volume_type 'local' with device_path or path",
            had=f"{info.get('driver_volume_type')!r} with {', '.join(sorted(data)) or 'nothing'}",
        )
    if not data.get("device_path") and data.get("format", "raw") != "raw":
        raise errors.Unsupported(
            "Only raw files become local devices",
            needed="format raw",
            had=f"format {data['format']}",
            remedy="Export the volume by NBD; its storage daemon understands the format.",
        )
    return data  # type: ignore[no-any-return]


def _path(data: Mapping[str, Any]) -> Path:
    return Path(str(data.get("device_path") or data["path"]))


def _file_device(path: Path, size: int) -> Device:
    return Device(kind="file", path=str(path), how="file", size=size)


def _device(found: Loop) -> Device:
    state = {
        "filesystem": found.filesystem,
        "inode": found.inode,
        "sequence": found.sequence,
        "boot": processes.boot_id(),
    }
    return Device(kind="block", path=found.device, how="loop", size=loop.size(found), state=state)
