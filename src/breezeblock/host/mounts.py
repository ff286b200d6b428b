# SPDX-License-Identifier: Apache-2.0
"""File systems on this host's devices: what is mounted where (in every mount namespace), making one, mounting and unmounting. Must
never write a file system over a signature that is already there unless the caller insists."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from breezeblock.host.executor import run
from breezeblock.model import errors

#: What `make_filesystem` can make, and how each is told that the device was checked already (its own check asks a terminal).
_MAKERS = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a mountinfo. `device` is "major:minor"."""

    device: str
    point: str
    kind: str
    source: str


def mounts(pid: str = "self") -> Sequence[Mount]:
    """What the mount namespace of a process shows; empty when the process is gone."""
    try:
        lines = (
            Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        )
    except (FileNotFoundError, ProcessLookupError, PermissionError, OSError):
        return []
    found = []
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        found.append(Mount(device=fields[2], point=_plain(fields[4]), kind=rest[0], source=_plain(rest[1])))
    return found


def mounted_at(number: str) -> Sequence[str]:
    """Where the device "major:minor" is mounted; in other mount namespaces too, with the pid that shows it."""
    seen, found = {_namespace("self")}, [mount.point for mount in mounts() if mount.device == number]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (namespace := _namespace(entry.name)) not in seen:
            seen.add(namespace)
            found += [
                f"{mount.point} (as pid {entry.name} sees it)"
                for mount in mounts(entry.name)
                if mount.device == number
            ]
    return found


def at(point: Path) -> Mount | None:
    """What is mounted exactly there (the topmost). Never touches the mount itself: a dead FUSE file system would answer errors."""
    shown = str(point.parent.resolve() / point.name)
    return next((mount for mount in reversed(mounts()) if mount.point == shown), None)


def filesystem_of(path: Path) -> str:
    """The kind of file system that holds a file, as mountinfo names it ("ext4", "fuse", "fuse.nbdfuse"); "" when unknown."""
    found = path.stat().st_dev
    number = f"{os.major(found)}:{os.minor(found)}"
    return next((mount.kind for mount in reversed(mounts()) if mount.device == number), "")


def is_fuse(path: Path) -> bool:
    return filesystem_of(path).startswith("fuse")


def signatures(device: str) -> Sequence[str]:
    """File system, partition table and other signatures found on a device, by type. Reads only."""
    said = run(["wipefs", "--no-act", "--json", device], timeout=30.0).text.strip()
    if not said:
        return []
    return [str(entry["type"]) for entry in msgspec.json.decode(said)["signatures"]]


def make_filesystem(device: str, kind: str, *, force: bool = False, timeout: float = 300.0) -> None:
    """Make a file system. Raises BadRequest when there is something already, naming it."""
    if kind not in _MAKERS:
        raise errors.BadRequest(f"No file system {kind!r} can be made", needed=" or ".join(_MAKERS), had=kind)
    found = [] if force else signatures(device)
    if found:
        raise errors.BadRequest(
            f"{device} is not empty",
            needed="a device without any signature",
            had=", ".join(found),
            remedy="Mount it as it is, or insist if what it holds may be lost.",
        )
    run([*_MAKERS[kind], device], timeout=timeout)


def mount(device: str, point: Path, *, options: str = "", timeout: float = 60.0) -> None:
    """Mount a device (the kernel finds the kind). Mounted there already is success; something else there is refused."""
    there = at(point)
    if there is not None:
        if there.device == _number(device):
            return
        raise errors.Busy(
            f"{point} is a mount point already", needed="a free folder", had=f"{there.source} ({there.kind})"
        )
    point.mkdir(parents=True, exist_ok=True)
    wanted = [*filter(None, options.split(",")), *_for_copies(device)]
    try:
        run(["mount", *(["-o", ",".join(wanted)] if wanted else []), device, point], timeout=timeout)
    except errors.ProgramFailed:
        unreplayed = _without_replay(device) if "ro" in wanted else ()
        if not unreplayed:
            raise
        run(["mount", "-o", ",".join([*wanted, *unreplayed]), device, point], timeout=timeout)


def _for_copies(device: str) -> Sequence[str]:
    """A clone carries its origin's UUID, which xfs would not mount beside it (xfs(5), nouuid)."""
    return ("nouuid",) if "xfs" in signatures(device) else ()


def _without_replay(device: str) -> Sequence[str]:
    """A read-only device taken while its file system was in use cannot replay its journal: it is shown as it was on the disk
    (ext4(5) noload, xfs(5) norecovery)."""
    found = signatures(device)
    return ("noload",) if {"ext3", "ext4"} & set(found) else ("norecovery",) if "xfs" in found else ()


def unmount(point: Path, *, timeout: float = 60.0) -> None:
    """Unmount; absent is success. Raises Busy, naming who holds files open there."""
    if at(point) is None:
        return
    try:
        run(["umount", "--no-canonicalize", point], timeout=timeout)
    except errors.ProgramFailed as refused:
        if at(point) is None:
            return
        raise errors.Busy(
            f"{point} cannot be unmounted",
            needed="nobody working there",
            had=", ".join(_working_in(point)) or str(refused),
            remedy="End what uses it (or change its working folder), then try again.",
        ) from refused


def abandon(point: Path) -> None:
    """Take a mount whose server is dead out of the tree. What still holds it gets errors, as it did before. Absent is success."""
    for _ in range(8):
        if at(point) is None:
            return
        run(["umount", "--no-canonicalize", "--lazy", point], timeout=30.0)
    raise errors.Busy(
        f"{point} stays mounted", needed="nothing mounted there", had="a new mount after each unmount"
    )


def _working_in(point: Path) -> Sequence[str]:
    """Processes with an open file or their working folder under a mount point."""
    from breezeblock.host.sockets import open_files

    found, inside = [], f"{point}/"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            held = [*open_files(int(entry.name)), str((entry / "cwd").readlink())]
            if any(path == str(point) or path.startswith(inside) for path in held):
                found.append(f"{(entry / 'comm').read_text(errors='replace').strip()} (pid {entry.name})")
        except OSError:
            continue
    return found


def _number(device: str) -> str:
    number = Path(device).stat().st_rdev
    return f"{os.major(number)}:{os.minor(number)}"


def _namespace(pid: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/mnt").readlink())
    except OSError:
        return _namespace("self") if pid != "self" else ""


def _plain(text: str) -> str:
    r"""mountinfo writes blanks as \040."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)
