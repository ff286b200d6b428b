# SPDX-License-Identifier: Apache-2.0
"""What `breezeblock volume ...` does, bytes of files apart (see image). Translates into requests of the contract; decides nothing that
the service decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from breezeblock.cli import render
from breezeblock.cli.client import Answer, segment
from breezeblock.cli.exits import usage
from breezeblock.cli.names import SNAPSHOT, VOLUME, resolve
from breezeblock.cli.session import Session


def create(
    session: Session,
    *,
    name: str,
    size: int | None,
    from_snapshot: str | None,
    from_volume: str | None,
    volume_type: str | None,
    description: str | None,
    properties: Mapping[str, str],
    zone: str | None,
) -> None:
    client = session.client
    if size is None and not (from_snapshot or from_volume):
        raise usage(
            "a new volume needs a size",
            needed="SIZE, --from-snapshot or --from-volume",
            remedy=f"Say: {name} 10G.",
        )
    wanted: dict[str, Any] = {
        "name": name,
        "size": size,
        "description": description,
        "availability_zone": zone,
    }
    wanted["snapshot_id"] = resolve(client, SNAPSHOT, from_snapshot) if from_snapshot else None
    wanted["source_volid"] = resolve(client, VOLUME, from_volume) if from_volume else None
    # Types go by name or id in the contract itself.
    wanted["volume_type"], wanted["metadata"] = volume_type, dict(properties) or None
    answer = client.post(
        "/volumes", {"volume": {key: value for key, value in wanted.items() if value is not None}}
    )
    report(session, answer, str(answer.body["volume"]["id"]))


def list_all(
    session: Session,
    *,
    name: str | None,
    status: str | None,
    properties: Mapping[str, str],
    all_projects: bool,
    sort: str | None,
    limit: int | None,
) -> None:
    query = {
        "name": name,
        "status": status,
        "metadata": repr(dict(properties)) if properties else None,
        "all_tenants": "1" if all_projects else None,
        "sort": sort,
    }
    volumes = [*session.client.pages("/volumes/detail", "volumes", limit=limit, **query)]
    rows = [
        [
            v["id"],
            v["name"],
            v["status"],
            v["size"],
            v.get("volume_type"),
            v.get("bootable") == "true",
            devices(v),
        ]
        for v in volumes
    ]
    columns = ["ID", "NAME", "STATUS", "GIB", "TYPE", "BOOTABLE", "ATTACHED"]
    session.show({"volumes": volumes}, render.table(columns, rows, numbers=["GIB"]))


def show(session: Session, *, volume: str) -> None:
    ident = resolve(session.client, VOLUME, volume)
    found = session.client.get(f"/volumes/{ident}")["volume"]
    session.show({"volume": found}, described(found))


def change(
    session: Session,
    *,
    volume: str,
    name: str | None,
    description: str | None,
    properties: Mapping[str, str],
    unset: Sequence[str],
    bootable: bool | None,
    read_only: bool | None,
    status: str | None,
) -> None:
    client, ident = session.client, resolve(session.client, VOLUME, volume)
    plain = {key: value for key, value in (("name", name), ("description", description)) if value is not None}
    if not (plain or properties or unset or status) and bootable is None and read_only is None:
        raise usage(
            "nothing to set", needed="at least one option", remedy="See 'breezeblock volume set --help'."
        )
    if plain:
        client.put(f"/volumes/{ident}", {"volume": plain})
    if properties:
        client.post(f"/volumes/{ident}/metadata", {"metadata": dict(properties)})
    for key in unset:
        client.delete(f"/volumes/{ident}/metadata/{segment(key)}")
    if bootable is not None:
        client.act("volumes", ident, "os-set_bootable", {"bootable": bootable})
    if read_only is not None:
        client.act("volumes", ident, "os-update_readonly_flag", {"readonly": read_only})
    if status:
        client.act("volumes", ident, "os-reset_status", {"status": status})
    show(session, volume=ident)


def extend(session: Session, *, volume: str, size: int) -> None:
    ident = resolve(session.client, VOLUME, volume)
    report(session, session.client.act("volumes", ident, "os-extend", {"new_size": size}), ident)


def revert(session: Session, *, volume: str, snapshot: str) -> None:
    ident = resolve(session.client, VOLUME, volume)
    point = resolve(session.client, SNAPSHOT, snapshot)
    report(session, session.client.act("volumes", ident, "revert", {"snapshot_id": point}), ident)


def delete(session: Session, *, volumes: Sequence[str], cascade: bool, force: bool) -> None:
    client = session.client
    # Every name is known before anything is deleted: a typing error in the last one must not cost the first.
    idents = [resolve(client, VOLUME, volume) for volume in volumes]
    answers = [
        (ident, client.delete(f"/volumes/{ident}", cascade=cascade or None, force=force or None))
        for ident in idents
    ]
    done = [{"id": ident, "operation": session.finish(answer)} for ident, answer in answers]
    verb = "deleted" if session.wait else "being deleted"
    session.show({"deleted": done}, "\n".join(f"{ident} {verb}" for ident in idents))


def report(session: Session, answer: Answer, ident: str) -> None:
    """Waits, then shows the volume as it is afterwards."""
    operation = session.finish(answer)
    found = session.client.get(f"/volumes/{ident}")["volume"]
    session.show({"volume": found, "operation": operation}, described(found))


def devices(volume: Mapping[str, Any]) -> str:
    return ", ".join(
        str(a.get("device") or a.get("host_name") or a["server_id"] or "yes") for a in volume["attachments"]
    )


def described(volume: Mapping[str, Any]) -> str:
    """The record that people read."""
    pairs: list[tuple[str, Any]] = [
        ("id", volume["id"]),
        ("name", volume["name"]),
        ("status", volume["status"]),
        ("size", f"{volume['size']} GiB"),
        ("type", volume.get("volume_type")),
        ("description", volume.get("description")),
        ("properties", volume.get("metadata")),
        ("bootable", volume.get("bootable") == "true"),
        ("from snapshot", volume.get("snapshot_id")),
        ("from volume", volume.get("source_volid")),
        ("placed on", volume.get("os-vol-host-attr:host")),
        ("zone", volume.get("availability_zone")),
        ("attached", devices(volume)),
        ("created", render.clock(volume.get("created_at"))),
        ("updated", render.clock(volume.get("updated_at"))),
    ]
    needless = ("description", "properties", "from snapshot", "from volume", "attached", "updated")
    return render.record(
        (key, value) for key, value in pairs if key not in needless or render.cell(value) != render.NOTHING
    )
