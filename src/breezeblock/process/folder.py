# SPDX-License-Identifier: Apache-2.0
"""The data folder: who may use it (one process, by a file lock), and the administrator's credentials in it (mode 0600)."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import uuid
from pathlib import Path

import msgspec

from breezeblock.model.errors import Conflict, Failed
from breezeblock.model.identity import Caller

LOCK, ADMIN = "lock", "admin.json"


class Credentials(msgspec.Struct, frozen=True):
    """What the command line reads. `endpoint` is rewritten at each start."""

    endpoint: str
    token: str
    project_id: str
    user_id: str

    def caller(self) -> Caller:
        return Caller(
            user_id=self.user_id,
            project_id=self.project_id,
            roles=frozenset({"admin", "member", "reader"}),
            is_admin=True,
        )


def _refuse_strangers(path: Path) -> None:
    """Whoever may write here could put a token, a database or a volume of his own in the place of ours."""
    seen, invoking = path.stat(), os.environ.get("SUDO_UID", "")
    trusted = {0, os.geteuid()} | ({int(invoking)} if os.geteuid() == 0 and invoking.isdigit() else set())
    if seen.st_uid not in trusted or seen.st_mode & 0o022:
        raise Failed(
            f"the data folder {path} can be changed by others",
            needed=f"a folder of uid {os.geteuid()} that nobody else may write to",
            had=f"owner uid {seen.st_uid}, mode {stat.S_IMODE(seen.st_mode):04o}",
            remedy=f"Run: chmod 700 {path}  (and chown it), or choose another with --data or BREEZEBLOCK_DATA.",
        )


class DataFolder:
    """Opened by exactly one process: the lock is held until it ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            _refuse_strangers(path)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Failed(
                f"the data folder {path} cannot be used: {error.strerror}",
                needed="a folder that this user can write",
                remedy="Choose another with --data or BREEZEBLOCK_DATA.",
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 64, 0).decode(errors="replace").strip() or "another process"
            os.close(self._lock)
            raise Conflict(
                f"the data folder {path} is in use",
                needed="a folder that nobody else serves",
                had=holder,
                remedy="Stop the other service, or choose another folder with --data.",
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"pid {os.getpid()}\n".encode(), 0)

    def process_id(self) -> str:
        """A new id for this process: an owner of leases is never mistaken for its predecessor."""
        return str(uuid.uuid4())

    def credentials(self, endpoint: str) -> Credentials:
        """Made at the first start; the token stays, the endpoint is this start's."""
        kept = self._read()
        if kept is None:
            kept = Credentials(endpoint, secrets.token_urlsafe(32), uuid.uuid4().hex, uuid.uuid4().hex)
        fresh = msgspec.structs.replace(kept, endpoint=endpoint)
        self._write(ADMIN, msgspec.json.format(msgspec.json.encode(fresh)) + b"\n")
        return fresh

    def backend_id(self, name: str) -> str:
        """The id that rows refer to: made once for a backend's name, kept in the folder."""
        place = self.path / "backends.json"
        known: dict[str, str] = msgspec.json.decode(place.read_bytes()) if place.exists() else {}
        if name not in known:
            known[name] = str(uuid.uuid4())
            self._write(place.name, msgspec.json.format(msgspec.json.encode(known)) + b"\n")
        return known[name]

    def _read(self) -> Credentials | None:
        try:
            return msgspec.json.decode((self.path / ADMIN).read_bytes(), type=Credentials)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise Failed(
                f"{self.path / ADMIN} cannot be read: {error}",
                needed="the JSON that this service wrote",
                remedy="Remove the file; a new token is made at the next start.",
            ) from error

    def _write(self, name: str, body: bytes) -> None:
        """Whole or not at all, readable by this user only."""
        fresh = self.path / f".{name}.{os.getpid()}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, body)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(fresh, self.path / name)
