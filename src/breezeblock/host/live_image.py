# SPDX-License-Identifier: Apache-2.0
"""The image that a storage daemon holds open, changed under its users: which file takes the writes, a switch to an overlay, folding
layers into the active one, a new size. Every call looks first, so it may be repeated after a lost answer. Must never touch a file
behind the daemon's back: the driver makes and removes files, the daemon alone writes those it holds."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any

from breezeblock.host import processes, storage_daemon
from breezeblock.host.backing_chain import Layer, read_chain, stored_backing
from breezeblock.host.executor import run
from breezeblock.host.qmp import Qmp, refusal
from breezeblock.host.storage_daemon import EXPORT, Daemon, FuseDoor, TcpDoor, node_name
from breezeblock.model import errors

#: A fold moves no byte for this many seconds: its storage does not answer.
_STALLED = 120.0
_FOLD = "fold"


def active(daemon: Daemon) -> str:
    """The file that takes the writes, in the spelling it was opened with."""
    with storage_daemon.monitor(daemon) as qmp:
        return _active(qmp)


def snapshot(daemon: Daemon, overlay: str, *, direct: bool = False) -> None:
    """Write to `overlay` from now on. Atomic for the writer: the daemon drains requests, flushes and switches."""
    with storage_daemon.monitor(daemon) as qmp:
        now = _active(qmp)
        if node_name(now) == node_name(overlay):
            return
        chain = read_chain(overlay, "qcow2")
        if len(chain) < 2 or node_name(chain[1].path) != node_name(now):
            raise errors.DeviceWrong(
                f"{overlay} does not stand on what is being written",
                needed=now,
                had=chain[1].path if len(chain) > 1 else "no backing file",
                remedy="Create the overlay on the active file (ask the live port), then try again.",
            )
        node = storage_daemon.image_node([Layer(overlay, "qcow2")], writable=True, direct=direct)
        if node["node-name"] not in _nodes(qmp):
            qmp.execute("blockdev-add", node)
        qmp.execute("blockdev-snapshot", {"node": node_name(now), "overlay": node["node-name"]}, timeout=60.0)


def fold(daemon: Daemon, base: str | None) -> None:
    """Pull everything between the active file and `base` (None: everything) into the active file; the layers between are closed.
    The monitor is free between looks, so that others can observe the daemon meanwhile."""
    _adopt_fold(daemon)
    with storage_daemon.monitor(daemon) as qmp:
        top = _active(qmp)
        chain = [node_name(layer.path) for layer in read_chain(top, _format(qmp, top))]
        if base is not None and node_name(base) not in chain[1:]:
            raise errors.DeviceWrong(
                f"{base} is not below the active file",
                needed=base,
                had=f"{len(chain) - 1} other layers below {top}",
            )
        if (len(chain) if base is None else chain.index(node_name(base))) > 1:
            arguments: dict[str, Any] = {
                "job-id": _FOLD,
                "device": node_name(top),
                "auto-dismiss": False,
                # The header that drops the layers below is written at the end. What was pulled up must be on the disk by then, and
                # QEMU writes the one without flushing the other: so it waits ("pending") until the image has been flushed.
                "auto-finalize": False,
                "on-error": "report",
            }
            if base is not None:
                relative = not os.path.isabs(stored_backing(top) or "/")
                arguments["base-node"] = node_name(base)
                arguments["backing-file"] = os.path.relpath(base, os.path.dirname(top)) if relative else base
            qmp.execute("block-stream", arguments)
    _finish_fold(daemon)
    with storage_daemon.monitor(daemon) as qmp:
        _close_unused(qmp, top)


def resize(daemon: Daemon, size: int) -> None:
    """Make the image `size` bytes long. Through NBD only while nobody is connected, and the door is closed for a moment."""
    with storage_daemon.monitor(daemon) as qmp:
        node = node_name(_active(qmp))
        had = int(_nodes(qmp)[node]["image"]["virtual-size"])
        if had == size:
            return
        if had > size:
            raise errors.BadSize(
                "A volume does not shrink", needed=f"at least {had} bytes", had=f"{size} bytes"
            )
        if isinstance(daemon.door, FuseDoor):
            qmp.execute("block_resize", {"node-name": node, "size": size}, timeout=60.0)
            return
    try:
        storage_daemon.close_door(daemon)
    except errors.Busy as busy:
        raise errors.Unsupported(
            "A volume in use over NBD cannot change its size",
            needed="no client, or a volume attached through FUSE",
            had=busy.had,
            remedy="Detach the volume, extend it, attach it again.",
        ) from busy
    door = daemon.door
    assert not isinstance(door, FuseDoor)
    with storage_daemon.monitor(daemon) as qmp:
        try:
            qmp.execute("block_resize", {"node-name": node, "size": size}, timeout=60.0)
        finally:
            qmp.execute(
                "block-export-add",
                {
                    "type": "nbd",
                    "id": EXPORT,
                    "node-name": node,
                    "name": door.name,
                    "description": door.description,
                    "writable": door.writable,
                },
            )


def virtual_size(daemon: Daemon) -> int:
    with storage_daemon.monitor(daemon) as qmp:
        return int(_nodes(qmp)[_top(qmp)]["image"]["virtual-size"])


def _top(qmp: Qmp) -> str:
    for export in qmp.execute("query-block-exports"):
        if export["id"] == EXPORT:
            return str(export["node-name"])
    raise errors.NotThere(
        "The daemon exports nothing", needed="an export", had="none", remedy="Export the volume again."
    )


def _active(qmp: Qmp) -> str:
    top = _top(qmp)
    return str(_nodes(qmp)["f" + top[1:]]["file"])


def _format(qmp: Qmp, path: str) -> str:
    return str(_nodes(qmp)[node_name(path)]["drv"])


def _nodes(qmp: Qmp) -> dict[str, dict[str, Any]]:
    return {node["node-name"]: node for node in qmp.execute("query-named-block-nodes", {"flat": True})}


def _adopt_fold(daemon: Daemon) -> None:
    """A predecessor's fold may still run, or have ended unseen; what it failed of matters no more, it is begun again."""
    with contextlib.suppress(errors.ProgramFailed):
        _finish_fold(daemon)


def _finish_fold(daemon: Daemon) -> None:
    """Wait while it moves; raise what it failed of. The job is dismissed either way."""
    seen, since = -1, time.monotonic()
    for _ in processes.ticks(7 * 86400.0, most=0.25):
        with storage_daemon.monitor(daemon) as qmp:
            job = next((job for job in qmp.execute("query-jobs") if job["id"] == _FOLD), None)
            if job is None:
                return
            if job["status"] == "concluded":
                qmp.execute("job-dismiss", {"id": _FOLD})
                if "error" in job:
                    raise refusal("block-stream", "GenericError", str(job["error"]))
                return
            if job["status"] != "pending" and job["current-progress"] != seen:
                seen, since = job["current-progress"], time.monotonic()
            elif time.monotonic() - since > _STALLED:
                qmp.execute("job-cancel", {"id": _FOLD})
                raise errors.TimedOut(
                    "Folding the layers does not move",
                    needed=f"progress within {_STALLED:g} s",
                    had=f"{seen} bytes",
                )
        if job["status"] == "pending":
            _write_header(daemon)


def _write_header(daemon: Daemon) -> None:
    """The bytes are pulled up: on to the disk with them, then the header may drop the layers below."""
    _flush(daemon)
    with storage_daemon.monitor(daemon) as qmp, contextlib.suppress(errors.ProgramFailed):
        qmp.execute(
            "job-finalize", {"id": _FOLD}
        )  # refused where somebody else did it: the job is looked at again


def _flush(daemon: Daemon, *, timeout: float = 600.0) -> None:
    """Everything that was written to the image is on the disk, its tables included: a user's flush, sent through the door."""
    door = daemon.door
    assert not isinstance(door, TcpDoor), "a relay holds no image"
    if isinstance(door, FuseDoor):
        fd = os.open(door.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        return
    image = {
        "driver": "raw",
        "file": {"driver": "nbd", "export": door.name, "server": {"type": "unix", "path": door.path}},
    }
    run(["qemu-io", "-c", "flush", "json:" + json.dumps(image)], timeout=timeout)


def _close_unused(qmp: Qmp, top: str) -> None:
    """Close nodes that were given by name and that no chain needs any more; the daemon refuses for those in use."""
    needed = {node_name(layer.path) for layer in read_chain(top, _format(qmp, top))}
    for name in [name for name in _nodes(qmp) if name.startswith("n-") and name not in needed]:
        with contextlib.suppress(errors.ProgramFailed):
            qmp.execute("blockdev-del", {"node-name": name})
