# SPDX-License-Identifier: Apache-2.0
"""How volumes of a type are encrypted, and what a volume tells of it. A type's encryption can be defined and read; volumes of such a type
are refused until keys can be kept (operations/volume/create.py)."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fields import INT_MAX, Text255
from breezeblock.api.route import WRITE, route
from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.model.volume_type import Encryption, VolumeType
from breezeblock.store import types
from breezeblock.store.transaction import Tx

RULE = "volume_extension:volume_type_encryption:"
PATH = "/types/{type_id}/encryption"

KeySize = Annotated[int, Meta(ge=0, le=INT_MAX)] | Annotated[str, Meta(pattern=r"^[0-9]{1,10}(?!\n)$")] | None
Place = Literal["front-end", "back-end"]
#: What python-cinderclient writes where the path wants the id.
_INSTEAD = "provider"


class Wanted(msgspec.Struct):
    """The body of a create."""

    provider: Text255
    control_location: Place
    cipher: Text255 | None = None
    key_size: KeySize = None


class Change(msgspec.Struct):
    provider: Text255 | UnsetType = UNSET
    control_location: Place | UnsetType = UNSET
    cipher: Text255 | UnsetType | None = UNSET
    key_size: KeySize | UnsetType = UNSET


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """Empty for a type that has none."""

    volume_type_id: str | UnsetType = UNSET
    encryption_id: str | UnsetType = UNSET
    control_location: str | UnsetType = UNSET
    cipher: str | UnsetType | None = UNSET
    key_size: int | UnsetType | None = UNSET
    provider: str | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    updated_at: str | UnsetType | None = UNSET
    deleted: bool | UnsetType = UNSET
    deleted_at: str | UnsetType | None = UNSET


class Echo(msgspec.Struct, frozen=True):
    encryption: dict[str, Any]


@route("type_encryption.show", f"GET {PATH}", policy=RULE + "get")
def show(call: Call, tx: Tx, type_id: str) -> Detail:
    """A type's encryption; empty when it has none."""
    kind = types.get(tx, type_id)
    return _detail(kind, kind.encryption) if kind.encryption else Detail()


@route("type_encryption.show_item", f"GET {PATH}/{{key}}", policy=RULE + "get")
def show_item(call: Call, tx: Tx, type_id: str, key: str) -> dict[str, Any]:
    """One value of a type's encryption."""
    kind = types.get(tx, type_id)
    found = msgspec.to_builtins(_detail(kind, _defined(kind)))
    if key not in found:
        raise NotFound(f"The encryption of volume type {kind.id} has no {key[:60]!r}")
    return {key: found[key]}


@route(
    "type_encryption.create",
    f"POST {PATH}",
    hop=WRITE,
    policy=RULE + "create",
    body=Body("encryption", Wanted),
)
def create(call: Call, tx: Tx, type_id: str, body: Wanted) -> Echo:
    """Define a type's encryption."""
    kind = types.get(tx, type_id)
    if kind.encryption is not None:
        raise BadRequest(f"Volume type {kind.id} has an encryption already", remedy="Change or delete it.")
    made = Encryption(
        encryption_id=str(uuid.uuid4()),
        provider=body.provider,
        control_location=body.control_location,
        cipher=body.cipher,
        key_size=_size(body.key_size),
        created_at=tx.now,
    )
    types.set_encryption(tx, kind.id, made)
    return Echo({**msgspec.to_builtins(body), "key_size": made.key_size, "encryption_id": made.encryption_id})


@route(
    "type_encryption.update",
    f"PUT {PATH}/{{encryption_id}}",
    hop=WRITE,
    policy=RULE + "update",
    body=Body("encryption", Change),
)
def update(call: Call, tx: Tx, type_id: str, encryption_id: str, body: Change) -> Echo:
    """Change a type's encryption."""
    kind = types.get(tx, type_id)
    found = _defined(kind, encryption_id)
    given = {key: getattr(body, key) for key in body.__struct_fields__ if getattr(body, key) is not UNSET}
    if "key_size" in given:
        given["key_size"] = _size(given["key_size"])
    types.set_encryption(tx, kind.id, msgspec.structs.replace(found, updated_at=tx.now, **given))
    return Echo(given)


@route(
    "type_encryption.delete",
    f"DELETE {PATH}/{{encryption_id}}",
    hop=WRITE,
    status=202,
    policy=RULE + "delete",
)
def remove(call: Call, tx: Tx, type_id: str, encryption_id: str) -> None:
    """A type's volumes are not encrypted any more."""
    kind = types.get(tx, type_id)
    _defined(kind, encryption_id)
    types.set_encryption(tx, kind.id, None)


def _defined(kind: VolumeType, encryption_id: str | None = None) -> Encryption:
    found = kind.encryption
    if found is None or encryption_id not in (None, _INSTEAD, found.encryption_id):
        raise NotFound(f"Volume type {kind.id} has no such encryption")
    return found


def _detail(kind: VolumeType, found: Encryption) -> Detail:
    return Detail(
        volume_type_id=kind.id,
        encryption_id=found.encryption_id,
        control_location=found.control_location,
        cipher=found.cipher,
        key_size=found.key_size,
        provider=found.provider,
        created_at=found.created_at,
        updated_at=found.updated_at,
        deleted=False,
        deleted_at=None,
    )


def _size(given: int | str | None) -> int | None:
    size = None if given is None else int(given)
    if size is not None and size > INT_MAX:
        raise BadRequest(f"key_size must be from 0 to {INT_MAX} bits", had=given)
    return size
