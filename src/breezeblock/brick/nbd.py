# SPDX-License-Identifier: Apache-2.0
"""Volumes that come by NBD become devices of this host. Owns the choice of the way (a ladder) and the check that what was reached is the
volume. Must never hand out a device before that check, and never a weaker one of the ladder's steps where a stronger is there.

    kernel-nbd     the kernel has the nbd driver: /dev/nbdN
    nbdfuse+loop   root, FUSE and loop devices: /dev/loopN (see nbdfuse.py)
    uri            everybody else: the NBD URI, for programs that speak NBD themselves (qemu, nbdcopy)

Identity. NBD knows no serial number. The export's description says the volume's id ("identity" in the connection info) and its size is
the volume's: both are asked of the server before anything is made. A wrong socket or a reused port so cannot give a wrong volume."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import msgspec

from breezeblock.brick import kernel_nbd, nbdfuse
from breezeblock.brick.connector import Device, Identity
from breezeblock.host import block_device, loop, processes
from breezeblock.host.executor import run
from breezeblock.host.records import discard_lock, locked
from breezeblock.model import errors
from breezeblock.model.observation import Observation

_PROTOCOL = "nbd"
#: NBD's own.
_PORT = 10809


class NbdConnector:
    """Connector (see connector.py). `state`: a private folder that outlives this process. `certificates`: a folder with ca-cert.pem,
    client-cert.pem and client-key.pem for exports over TLS. `way`: take this step of the ladder and no other."""

    def __init__(self, state: Path, *, certificates: Path | None = None, way: str | None = None) -> None:
        self._state = state / "nbd"
        self._certificates, self._way = certificates, way

    @property
    def protocols(self) -> frozenset[str]:
        return frozenset({_PROTOCOL})

    def properties(self) -> Mapping[str, Any]:
        return {"nbd": self.way()}

    def way(self) -> str:
        """The step of the ladder that this host can take now."""
        if self._way is not None:
            return self._way
        if os.geteuid() != 0:
            return "uri"
        if kernel_nbd.present():
            return "kernel-nbd"
        usable = (
            shutil.which(nbdfuse.PROGRAM)
            and Path("/dev/fuse").exists()
            and Path("/dev/loop-control").exists()
        )
        return "nbdfuse+loop" if usable else "uri"

    def connect_volume(self, info: Mapping[str, Any], expect: Identity) -> Device:
        wanted = self._wanted(info, expect)
        if self.way() == "uri":
            return _uri_device(wanted, self._verified(wanted))
        folder = self._folder(wanted.export)
        with locked(self._lock(wanted.export)):
            chain = nbdfuse.stored(folder)
            if chain is not None and not nbdfuse.whole(folder, chain) and chain.uri == wanted.uri:
                size = expect.size if expect.size is not None else chain.size
                if chain.size != size or (wanted.volume_id and chain.volume_id != wanted.volume_id):
                    raise errors.DeviceWrong(
                        "The connected device is another volume",
                        needed=f"{wanted.volume_id}, {size} bytes",
                        had=f"{chain.volume_id}, {chain.size} bytes",
                    )
                return _device(chain)
            if chain is not None:
                nbdfuse.unmake(
                    folder, chain, lossy=True
                )  # broken and in nobody's use: its users have had their errors
            size = self._verified(wanted)
            if self.way() == "kernel-nbd":
                return kernel_nbd.connect(
                    wanted.uri, wanted.export, size, self._state, writable=wanted.writable
                )
            return _device(
                nbdfuse.make(
                    folder, wanted.uri, wanted.volume_id, size, remote=wanted.remote, writable=wanted.writable
                )
            )

    def disconnect_volume(
        self,
        info: Mapping[str, Any],
        device: Device | None,
        *,
        force: bool = False,
        ignore_errors: bool = False,
    ) -> None:
        try:
            self._disconnect(_data(info)["export"], force)
        except errors.Error as failed:
            if not ignore_errors or (isinstance(failed, errors.Busy) and not force):
                raise

    def extend_volume(self, info: Mapping[str, Any]) -> int:
        """NBD tells no client of a new size, and nbdfuse asks once: a connected volume stays as long as it was."""
        wanted = self._wanted(info, Identity(volume_id=""))
        observed = self.observe(info)
        if observed.value is None or observed.value.size is None:
            raise errors.NotThere(
                "The volume is not connected here", needed="a connection", had=str(observed.found)
            )
        size = self._verified(msgspec.structs.replace(wanted, size=None))
        if size != observed.value.size:
            raise errors.Unsupported(
                "A volume connected over NBD cannot grow under its users",
                needed=f"{size} bytes",
                had=f"{observed.value.size} bytes",
                remedy="Disconnect the volume and connect it again: it is longer then.",
            )
        return size

    def observe(self, info: Mapping[str, Any]) -> Observation[Device]:
        wanted = self._wanted(info, Identity(volume_id=""))
        if self.way() == "uri":
            return self._answers(wanted)
        if kernel_nbd.present():
            return kernel_nbd.observe(wanted.export, wanted.uri, self._state)
        folder = self._folder(wanted.export)
        chain = nbdfuse.stored(folder)
        if chain is None:
            return Observation.not_done("no connection is recorded")
        if chain.boot != processes.boot_id():
            return Observation.not_done("this host was booted since")
        missing = nbdfuse.whole(folder, chain)
        if not missing and chain.uri != wanted.uri:
            missing = "it is connected to an earlier start of the export"
        if missing:
            return Observation.partial(_device(chain) if chain.device else None, missing)
        return Observation.done(_device(chain))

    def _answers(self, wanted: _Wanted) -> Observation[Device]:
        """A URI is "connected" while its export answers: nothing of it is on this host."""
        try:
            return Observation.done(_uri_device(wanted, self._verified(wanted)))
        except (errors.Unreachable, errors.DeviceWrong) as gone:
            return Observation.not_done(str(gone))

    def check_valid_device(self, path: str) -> bool:
        return block_device.readable(Path(path))

    def _disconnect(self, export: str, force: bool) -> None:
        with locked(self._lock(export)):
            if kernel_nbd.present():
                kernel_nbd.disconnect(export, self._state, lossy=force)
            folder = self._folder(export)
            chain = nbdfuse.stored(folder)
            if chain is not None:
                nbdfuse.unmake(folder, chain, lossy=force)
            elif folder.is_dir():
                shutil.rmtree(folder)  # killed between the folder and its record: nothing had been started
            discard_lock(self._lock(export))

    def _wanted(self, info: Mapping[str, Any], expect: Identity) -> _Wanted:
        data = _data(info)
        if expect.volume_id and data.get("volume_id") not in (None, expect.volume_id):
            raise errors.DeviceWrong(
                "The connection is for another volume",
                needed=expect.volume_id,
                had=data["volume_id"],
                remedy="Ask the service for this volume's connection.",
            )
        uri, hostname = str(data["uri"]), data.get("tls_hostname")
        secure, parts = bool(data.get("tls")), urlsplit(str(data["uri"]))
        remote = None
        if not parts.scheme.endswith("+unix"):
            remote = nbdfuse.Remote(
                host=parts.hostname or "",
                port=parts.port or _PORT,
                export=unquote(parts.path.removeprefix("/")),
                certificates=str(self._own_certificates()) if secure else None,
                hostname=hostname,
            )
        if secure:
            query = {"tls-certificates": str(self._own_certificates())}
            query |= {"tls-hostname": hostname} if hostname else {}
            uri = f"{uri}{'&' if parts.query else '?'}{urlencode(query, quote_via=quote, safe='/')}"
        return _Wanted(
            uri=uri,
            export=str(data["export"]),
            volume_id=str(data.get("volume_id", "")),
            identity=data.get("identity"),
            size=expect.size,
            writable=data.get("access_mode", "rw") != "ro",
            remote=remote,
        )

    def _own_certificates(self) -> Path:
        if self._certificates is None:
            raise errors.Failed(
                "The export wants TLS and this host has no client certificate",
                needed="a certificate folder",
                had="none configured",
                remedy="Put ca-cert.pem, client-cert.pem and client-key.pem into a folder and configure it.",
            )
        return self._certificates

    def _verified(self, wanted: _Wanted) -> int:
        """Ask the server which volume it exports; its size in bytes."""
        try:
            said = msgspec.json.decode(
                run(["nbdinfo", "--json", "--no-content", wanted.uri], timeout=30.0).stdout
            )
        except (errors.ProgramFailed, errors.TimedOut) as silent:
            raise errors.Unreachable(
                f"The export {wanted.export} does not answer: {silent.message}",
                needed="an NBD server with this export",
                had="none",
                remedy="See that the volume is exported and that this host may reach its address.",
            ) from silent
        export = said["exports"][0]
        size, identity = int(export["export-size"]), export.get("description")
        if wanted.identity is not None and identity != wanted.identity:
            raise errors.DeviceWrong(
                "The export is not the volume", needed=wanted.identity, had=identity or "no identity"
            )
        if wanted.size is not None and size != wanted.size:
            raise errors.DeviceWrong(
                "The export is not as long as the volume", needed=f"{wanted.size} bytes", had=f"{size} bytes"
            )
        return size

    def _folder(self, export: str) -> Path:
        if not export or os.sep in export or export.startswith("."):
            raise errors.BadRequest(
                "The connection names no usable export", needed="a plain name", had=repr(export)
            )
        return self._state / export

    def _lock(self, export: str) -> Path:
        return self._folder(export).with_name(f"{export}.lock")


def end_leftovers(state: Path, keep: Collection[str]) -> list[str]:
    """Take apart what is left of connections to volumes not in `keep`: their export was cut while they were in use, and who used them has
    let go since. Says of which volumes. One that still stands, or is in use, stays."""

    def left(folder: Path) -> nbdfuse.Chain | None:
        chain = nbdfuse.stored(folder)
        broken = chain is not None and chain.volume_id not in keep and nbdfuse.whole(folder, chain)
        return chain if broken else None

    ended = []
    for folder in (entry for entry in (state / _PROTOCOL).glob("*") if entry.is_dir()):
        if left(folder) is None:  # without the lock: what is being connected is nobody's leftover
            continue
        lock = folder.with_name(f"{folder.name}.lock")
        with locked(lock), contextlib.suppress(errors.Busy):
            chain = left(folder)
            if chain is not None:
                nbdfuse.unmake(folder, chain, lossy=True)
                discard_lock(lock)
                ended.append(chain.volume_id)
    return ended


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    uri: str
    export: str
    volume_id: str
    identity: str | None
    size: int | None
    writable: bool
    remote: nbdfuse.Remote | None


def _data(info: Mapping[str, Any]) -> Mapping[str, Any]:
    data = info.get("data", {})
    missing = [key for key in ("uri", "export") if not data.get(key)]
    if info.get("driver_volume_type") != _PROTOCOL or missing:
        raise errors.BadRequest(
            "This is no NBD connection",
            needed="driver_volume_type 'nbd' with uri and export",
            had=f"{info.get('driver_volume_type')!r} without {', '.join(missing) or 'nothing'}",
        )
    return data  # type: ignore[no-any-return]


def _uri_device(wanted: _Wanted, size: int) -> Device:
    return Device(kind="uri", path=wanted.uri, how="uri", size=size)


def _device(chain: nbdfuse.Chain) -> Device:
    assert chain.device is not None
    return Device(
        kind="block",
        path=chain.device.device,
        how="nbdfuse+loop",
        size=loop.size(chain.device),
        state={"uri": chain.uri},
    )
