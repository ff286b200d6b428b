# SPDX-License-Identifier: Apache-2.0
"""What `breezeblock snapshot ...` does. Going back to a snapshot is `volume revert`: it is the volume that changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from breezeblock.cli import render
from breezeblock.cli.client import segment
from breezeblock.cli.exits import usage
from breezeblock.cli.names import SNAPSHOT, VOLUME, resolve
from breezeblock.cli.session import Session


def create(
    session: Session, *, volume: str, name: str | None, description: str | None, properties: Mapping[str, str]
) -> None:
    ident = resolve(session.client, VOLUME, volume)
    # At the CLI's version an attached volume needs no force: the snapshot is what its disk would be after a power cut.
    wanted = {
        "volume_id": ident,
        "name": name,
        "description": description,
        "metadata": dict(properties) or None,
    }
    answer = session.client.post(
        "/snapshots", {"snapshot": {k: v for k, v in wanted.items() if v is not None}}
    )
    operation = session.finish(answer)
    found = session.client.get(f"/snapshots/{answer.body['snapshot']['id']}")["snapshot"]
    session.show({"snapshot": found, "operation": operation}, described(found))


def list_all(
    session: Session,
    *,
    volume: str | None,
    name: str | None,
    status: str | None,
    all_projects: bool,
    limit: int | None,
) -> None:
    ident = resolve(session.client, VOLUME, volume) if volume else None
    query = {"volume_id": ident, "name": name, "status": status, "all_tenants": "1" if all_projects else None}
    found = [*session.client.pages("/snapshots/detail", "snapshots", limit=limit, **query)]
    rows = [
        [s["id"], s["name"], s["status"], s["size"], s["volume_id"], render.clock(s["created_at"])]
        for s in found
    ]
    text = render.table(["ID", "NAME", "STATUS", "GIB", "VOLUME", "CREATED"], rows, numbers=["GIB"])
    session.show({"snapshots": found}, text)


def show(session: Session, *, snapshot: str) -> None:
    found = session.client.get(f"/snapshots/{resolve(session.client, SNAPSHOT, snapshot)}")["snapshot"]
    session.show({"snapshot": found}, described(found))


def change(
    session: Session,
    *,
    snapshot: str,
    name: str | None,
    description: str | None,
    properties: Mapping[str, str],
    unset: Sequence[str],
    status: str | None,
) -> None:
    client, ident = session.client, resolve(session.client, SNAPSHOT, snapshot)
    plain = {key: value for key, value in (("name", name), ("description", description)) if value is not None}
    if not (plain or properties or unset or status):
        raise usage(
            "nothing to set", needed="at least one option", remedy="See 'breezeblock snapshot set --help'."
        )
    if plain:
        client.put(f"/snapshots/{ident}", {"snapshot": plain})
    if properties:
        client.post(f"/snapshots/{ident}/metadata", {"metadata": dict(properties)})
    for key in unset:
        client.delete(f"/snapshots/{ident}/metadata/{segment(key)}")
    if status:
        client.act("snapshots", ident, "os-reset_status", {"status": status})
    show(session, snapshot=ident)


def delete(session: Session, *, snapshots: Sequence[str], force: bool) -> None:
    client = session.client
    idents = [resolve(client, SNAPSHOT, snapshot) for snapshot in snapshots]
    answers = [
        (i, client.act("snapshots", i, "os-force_delete") if force else client.delete(f"/snapshots/{i}"))
        for i in idents
    ]
    done = [{"id": ident, "operation": session.finish(answer)} for ident, answer in answers]
    verb = "deleted" if session.wait else "being deleted"
    session.show({"deleted": done}, "\n".join(f"{ident} {verb}" for ident in idents))


def described(snapshot: Mapping[str, Any]) -> str:
    return render.record(
        [
            ("id", snapshot["id"]),
            ("name", snapshot["name"]),
            ("status", snapshot["status"]),
            ("size", f"{snapshot['size']} GiB"),
            ("of volume", snapshot["volume_id"]),
            ("description", snapshot.get("description")),
            ("properties", snapshot.get("metadata")),
            ("created", render.clock(snapshot.get("created_at"))),
        ]
    )
