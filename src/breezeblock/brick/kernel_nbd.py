# SPDX-License-Identifier: Apache-2.0
"""The kernel's own NBD client, where it has one: /dev/nbdN, set up by nbd-client. Owns which device serves which export. Must never take
a device that is in use: the kernel says which are free, and the record says which is ours."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from breezeblock.brick.connector import Device
from breezeblock.host import block_device, processes
from breezeblock.host.executor import run
from breezeblock.host.records import load, locked, save
from breezeblock.model import errors
from breezeblock.model.observation import Found, Observation

_SECTOR = 512


class KernelConnection(msgspec.Struct, frozen=True, kw_only=True):
    """`device` serves `export` since `boot`; the kernel's sequence number tells it from a later use of the same device."""

    export: str
    uri: str
    device: str
    boot: str
    sequence: int


def present() -> bool:
    """The kernel's driver is loaded and its program is there; loading a module is the administrator's decision."""
    return (
        Path("/sys/module/nbd").is_dir()
        and Path("/dev/nbd0").exists()
        and shutil.which("nbd-client") is not None
    )


def connect(uri: str, export: str, size: int, state: Path, *, writable: bool = True) -> Device:
    """Idempotent. The caller holds the export's lock and has verified that the server exports the volume."""
    there = observe(export, uri, state)
    if there.value is not None and there.found is Found.DONE:
        return there.value
    disconnect(export, state, lossy=True)  # of an earlier start of the export, and in nobody's use
    with locked(state / "kernel-nbd.lock"):
        device = _free()
        run([*_client(uri), *([] if writable else ["-readonly"]), device], timeout=60.0)
        record = KernelConnection(
            export=export, uri=uri, device=device, boot=processes.boot_id(), sequence=_sequence(device)
        )
        save(_record(export, state), record)
    seen = _size(device)
    if seen != size:
        disconnect(export, state)
        raise errors.DeviceWrong(f"{device} has another size", needed=f"{size} bytes", had=f"{seen} bytes")
    return Device(kind="block", path=device, how="kernel-nbd", size=seen)


def disconnect(export: str, state: Path, *, lossy: bool = False, timeout: float = 10.0) -> None:
    """Flush, disconnect and wait until the kernel has let go. Absent is success. Raises Busy while it is in use; Failed when what was
    written cannot be flushed, unless `lossy`."""
    record = load(_record(export, state), KernelConnection)
    if record is not None and _ours(record):
        with block_device.claimed(record.device) as fd:
            _flush(fd, record, lossy=lossy)
        run(["nbd-client", "-d", record.device], timeout=60.0)
        for _ in processes.ticks(timeout):
            if not _ours(record):
                break
        else:
            raise errors.Busy(
                f"{record.device} stays connected", needed=f"its end within {timeout:g} s", had="a connection"
            )
    _record(export, state).unlink(missing_ok=True)


def observe(export: str, uri: str, state: Path) -> Observation[Device]:
    record = load(_record(export, state), KernelConnection)
    if record is None or not _ours(record):
        return Observation.not_done("no kernel connection")
    device = Device(kind="block", path=record.device, how="kernel-nbd", size=_size(record.device))
    if record.uri != uri:
        return Observation.partial(device, "it is connected to an earlier start of the export")
    return Observation.done(device)


def _client(uri: str) -> Sequence[str]:
    parts = urlsplit(uri)
    query, export = parse_qs(parts.query), unquote(parts.path.removeprefix("/"))
    if parts.scheme.startswith("nbd+unix"):
        return ["nbd-client", "-unix", query["socket"][0], "-N", export, "-b", "512"]
    argv = ["nbd-client", unquote(parts.hostname or ""), str(parts.port or 10809), "-N", export, "-b", "512"]
    if parts.scheme == "nbds":
        folder = Path(query["tls-certificates"][0])
        argv += ["-certfile", str(folder / "client-cert.pem"), "-keyfile", str(folder / "client-key.pem")]
        argv += ["-cacertfile", str(folder / "ca-cert.pem")]
        argv += ["-tlshostname", query["tls-hostname"][0]] if "tls-hostname" in query else []
    return argv


def _free() -> str:
    devices = sorted(Path("/sys/block").glob("nbd*"), key=lambda entry: int(entry.name[3:]))
    for entry in devices:
        if not (entry / "pid").exists() and (entry / "size").read_text(encoding="ascii").strip() == "0":
            return f"/dev/{entry.name}"
    raise errors.NoSpace(
        "Every NBD device of this host is taken",
        needed="1 free",
        had=f"0 of {len(devices)}",
        remedy="Load the nbd module with a larger nbds_max, or disconnect a volume.",
    )


def _flush(fd: int, record: KernelConnection, *, lossy: bool) -> None:
    try:
        os.fsync(fd)
    except OSError as lost:
        if not lossy:
            raise errors.Failed(
                f"{record.device} could not be flushed: {lost.strerror}",
                needed="its export answering",
                had=f"errno {lost.errno}",
                remedy="Bring the export back and try again; or force it (detach --force): what was not flushed is lost then.",
            ) from lost


def _ours(record: KernelConnection) -> bool:
    connected = Path(f"/sys/block/{Path(record.device).name}/pid").exists()
    return connected and record.boot == processes.boot_id() and _sequence(record.device) == record.sequence


def _sequence(device: str) -> int:
    return int(Path(f"/sys/block/{Path(device).name}/diskseq").read_text(encoding="ascii"))


def _size(device: str) -> int:
    return int(Path(f"/sys/block/{Path(device).name}/size").read_text(encoding="ascii")) * _SECTOR


def _record(export: str, state: Path) -> Path:
    return state / f"{export}.kernel.json"
