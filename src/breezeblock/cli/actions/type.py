# SPDX-License-Identifier: Apache-2.0
"""What `breezeblock type ...` does: volume types and their extra specs (spelled properties here, as everywhere in this command)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from breezeblock.cli import render
from breezeblock.cli.client import segment
from breezeblock.cli.exits import usage
from breezeblock.cli.names import TYPE, resolve
from breezeblock.cli.session import Session


def create(
    session: Session, *, name: str, description: str | None, properties: Mapping[str, str], private: bool
) -> None:
    wanted: dict[str, Any] = {"name": name, "os-volume-type-access:is_public": not private}
    if description is not None:
        wanted["description"] = description
    if properties:
        wanted["extra_specs"] = dict(properties)
    found = session.client.post("/types", {"volume_type": wanted}).body["volume_type"]
    session.show({"type": found}, described(found))


def list_all(session: Session) -> None:
    found = [*session.client.pages("/types", "volume_types", is_public="none")]
    rows = [
        [t["id"], t["name"], t.get("is_public"), t.get("extra_specs"), t.get("description")] for t in found
    ]
    session.show({"types": found}, render.table(["ID", "NAME", "PUBLIC", "PROPERTIES", "DESCRIPTION"], rows))


def show(session: Session, *, volume_type: str) -> None:
    ident = volume_type if volume_type == "default" else resolve(session.client, TYPE, volume_type)
    found = session.client.get(f"/types/{ident}")["volume_type"]
    session.show({"type": found}, described(found))


def change(
    session: Session,
    *,
    volume_type: str,
    name: str | None,
    description: str | None,
    properties: Mapping[str, str],
    unset: Sequence[str],
) -> None:
    client, ident = session.client, resolve(session.client, TYPE, volume_type)
    plain = {key: value for key, value in (("name", name), ("description", description)) if value is not None}
    if not (plain or properties or unset):
        raise usage(
            "nothing to set", needed="at least one option", remedy="See 'breezeblock type set --help'."
        )
    if plain:
        client.put(f"/types/{ident}", {"volume_type": plain})
    if properties:
        client.post(f"/types/{ident}/extra_specs", {"extra_specs": dict(properties)})
    for key in unset:
        client.delete(f"/types/{ident}/extra_specs/{segment(key)}")
    show(session, volume_type=ident)


def delete(session: Session, *, types: Sequence[str]) -> None:
    idents = [resolve(session.client, TYPE, name) for name in types]
    for ident in idents:
        session.client.delete(f"/types/{ident}")
    document = {"deleted": [{"id": ident, "operation": None} for ident in idents]}
    session.show(document, "\n".join(f"{ident} deleted" for ident in idents))


def described(volume_type: Mapping[str, Any]) -> str:
    return render.record(
        [
            ("id", volume_type["id"]),
            ("name", volume_type["name"]),
            ("public", volume_type.get("is_public")),
            ("description", volume_type.get("description")),
            ("properties", volume_type.get("extra_specs")),
        ]
    )
