# SPDX-License-Identifier: Apache-2.0
"""What `breezeblock attach` and `detach` do: the service's agent makes the device; making a file system and mounting are done here, as
the person who asks. Must never put a file system over one that is there."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from breezeblock.cli import programs
from breezeblock.cli.exits import Ended, refused
from breezeblock.cli.names import VOLUME, is_id, resolve
from breezeblock.cli.session import Session

#: Making a file system discards the whole device first; mount replays a journal.
MKFS_SECONDS, MOUNT_SECONDS = 600.0, 120.0
_WANTED = "a service that runs as root, nbdfuse (package libnbd-bin), /dev/fuse and loop devices"


def attach(session: Session, *, volume: str, read_only: bool, mkfs: str | None, mount: Path | None) -> None:
    if mkfs or mount:
        _prepare(session, read_only=read_only, mkfs=mkfs, mount=mount)
    client, ident = session.client, resolve(session.client, VOLUME, volume)
    mode = "ro" if read_only else "rw"
    answer = client.post("/breezeblock/attach", {"volume_id": ident, "mode": mode, "host": None})
    operation, attachment = str(answer.body["operation"]["id"]), str(answer.body["attachment"]["id"])
    operated = session.finish(answer._replace(operation=answer.operation or operation))
    found = client.get(f"/breezeblock/attachments/{attachment}")["attachment"]
    if session.wait and (mkfs or mount):
        try:
            device = _device(found)
            if mkfs:
                _make_file_system(session, device, mkfs)
            if mount:
                _mount(session, device, mount, read_only=read_only)
        except Ended as why:
            why.remedy = (
                f"{why.remedy} The volume is attached: 'breezeblock detach {ident}' undoes that.".strip()
            )
            raise
        except KeyboardInterrupt:
            session.note(f"The volume stays attached: 'breezeblock detach {ident}' undoes that.")
            raise
    if found.get("uri") and not found.get("device"):
        session.note(f"no block device, a URI for programs that speak NBD; a device needs {_WANTED}")
    document = {"attachment": found, "operation": operated, "mounted_at": str(mount) if mount else None}
    session.show(document, str(found.get("device") or found.get("uri") or found["id"]))


def detach(session: Session, *, what: str, force: bool, unmount: bool) -> None:
    client = session.client
    wanted, attachments = _what(session, what)
    for attachment in attachments:
        for point in mount_points(str(attachment.get("device") or "")):
            if unmount:
                session.note(f"unmounting {point}")
                programs.run(["umount", str(point)], timeout=MOUNT_SECONDS)
            elif force:
                session.note(f"still mounted at {point}: what is written there from now on fails; unmount it")
            else:
                raise refused(
                    f"{attachment['device']} is mounted",
                    code="storage.busy",
                    needed="an unmounted device",
                    had=f"mounted at {point}",
                    remedy=f"Run: umount {point}  (or detach with --unmount).",
                )
    try:
        answer = client.post("/breezeblock/detach", {**wanted, "force": force})
    except Ended as why:
        if why.code != "not-found" or not (force and attachments):
            raise
        _end_clients(session, attachments)
        session.show({"detached": wanted, "operation": None}, f"{next(iter(wanted.values()))} detached")
        return
    operation = session.finish(
        answer._replace(operation=answer.operation or str(answer.body["operation"]["id"]))
    )
    verb = "detached" if session.wait else "being detached"
    session.show({"detached": wanted, "operation": operation}, f"{next(iter(wanted.values()))} {verb}")


def _end_clients(session: Session, attachments: list[Mapping[str, Any]]) -> None:
    """No agent made them: a client did that did not end them, such as an import that was killed. The service refuses, naming who, while
    somebody still holds the export open."""
    for attachment in attachments:
        session.note(f"ending attachment {attachment['id']} of {attachment.get('host') or 'a client'}")
        session.client.delete(f"/attachments/{attachment['id']}")


def mount_points(device: str) -> list[Path]:
    """Where this machine has the device mounted, innermost last."""
    try:
        facts = Path(device).stat()
    except OSError:
        return []
    if not stat.S_ISBLK(facts.st_mode):
        return []
    number = f"{os.major(facts.st_rdev)}:{os.minor(facts.st_rdev)}"
    found = []
    for line in (
        Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    ):
        fields = line.split(" ")
        if fields[2] == number:
            # The kernel writes blanks and the like as \040.
            found.append(Path(fields[4].encode("latin-1", "replace").decode("unicode_escape")))
    return found[::-1]


def _what(session: Session, text: str) -> tuple[dict[str, str], list[Mapping[str, Any]]]:
    """What to ask for, and the attachments of this host that it concerns."""
    client = session.client
    if is_id(text):
        try:
            return {"attachment_id": text}, [client.get(f"/breezeblock/attachments/{text}")["attachment"]]
        except Ended as why:
            if why.code not in ("http.404", "not-found"):
                raise
    ident = resolve(client, VOLUME, text)
    found = []
    for item in client.pages("/attachments", "attachments", volume_id=ident):
        found.append(client.get(f"/breezeblock/attachments/{item['id']}")["attachment"])
    return {"volume_id": ident}, found


def _prepare(session: Session, *, read_only: bool, mkfs: str | None, mount: Path | None) -> None:
    """Everything that can be refused is refused before anything is attached."""
    option = "--mkfs" if mkfs else "--mount"
    if not session.wait:
        raise refused(f"{option} needs the device", needed="waiting for it", had="--no-wait", code="usage")
    if mkfs and read_only:
        raise refused(
            "a file system cannot be made on a read-only device", needed="rw", had="--ro", code="usage"
        )
    if os.geteuid() != 0:
        raise refused(
            f"{option} needs root",
            code="host.rights",
            needed="uid 0",
            had=f"uid {os.geteuid()}",
            remedy=f"Run it with sudo, or attach without {option}.",
        )
    for program in ([f"mkfs.{mkfs}", "blkid"] if mkfs else []) + (["mount"] if mount else []):
        programs.need(program)
    if mount and mount.exists() and not mount.is_dir():
        raise refused(
            f"{mount} is no folder", code="host.mount", needed="a folder", remedy="Name an empty folder."
        )


def _device(attachment: Mapping[str, Any]) -> str:
    path = str(attachment.get("device") or "")
    try:
        if stat.S_ISBLK(Path(path).stat().st_mode):
            return path
    except OSError:
        pass
    raise refused(
        "the volume is attached, but not as a block device of this host",
        code="host.no-device",
        needed="a block device",
        had=path or str(attachment.get("uri") or "nothing"),
        remedy=f"Devices need {_WANTED}.",
    )


def _make_file_system(session: Session, device: str, kind: str) -> None:
    # 2: nothing recognised. Anything else means that there is something to lose.
    looked = programs.run(
        ["blkid", "-p", "-o", "value", "-s", "TYPE", "-s", "PTTYPE", device], timeout=60, accept=(0, 2, 8)
    )
    if looked.returncode != 2:
        raise refused(
            "the volume is not empty",
            code="host.not-empty",
            needed="a volume without a file system",
            had=", ".join(looked.stdout.split()) or "several signatures",
            remedy="Attach it without --mkfs, or wipe it first (wipefs).",
        )
    session.progress.show(f"making {kind} on {device}")
    force = {"ext4": "-F", "xfs": "-f"}[kind]
    programs.run([f"mkfs.{kind}", "-q", force, device], timeout=MKFS_SECONDS)
    session.progress.clear()


def _mount(session: Session, device: str, point: Path, *, read_only: bool) -> None:
    from breezeblock.host import mounts
    from breezeblock.model.errors import Error

    try:
        # A copy that was taken in use has a journal that a read-only device cannot replay; this knows how such a one is shown.
        mounts.mount(device, point, options="ro" if read_only else "", timeout=MOUNT_SECONDS)
    except Error as why:
        raise refused(why.message, code=why.code, needed=why.needed, had=why.had, remedy=why.remedy) from None
    session.note(f"mounted at {point}")
