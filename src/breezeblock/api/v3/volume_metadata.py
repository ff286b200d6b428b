# SPDX-License-Identifier: Apache-2.0
"""A volume's metadata: the whole and its single keys. From 3.15 the whole carries an ETag and If-Match guards a change."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import msgspec

from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fault import PreconditionFailed
from breezeblock.api.fields import Metadata
from breezeblock.api.route import WRITE, route
from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.model.volume import Volume
from breezeblock.operations.volume import edit
from breezeblock.store import volumes
from breezeblock.store.transaction import Tx

#: ETag and If-Match work from here on.
ETAGS = 15
#: Administrators' keys that are shown among the user's.
MERGED = ("readonly", "attached_mode")


class WholeMetadata(msgspec.Struct, frozen=True):
    metadata: dict[str, str]


class OnePair(msgspec.Struct, frozen=True):
    meta: dict[str, str]


OneItem = Annotated[Metadata, msgspec.Meta(min_length=1, max_length=1)]


@route("volume_metadata.list", "GET /volumes/{volume_id}/metadata", policy="volume:get_volume_metadata")
def index(call: Call, tx: Tx, volume_id: str) -> WholeMetadata:
    """All metadata."""
    answer = WholeMetadata(shown(volumes.get(tx, volume_id, call.scope)))
    if call.version >= ETAGS:
        call.headers[b"etag"] = etag(answer).encode()
    return answer


@route(
    "volume_metadata.create",
    "POST /volumes/{volume_id}/metadata",
    hop=WRITE,
    policy="volume:create_volume_metadata",
    body=Body("metadata", Metadata),
)
def merge(call: Call, tx: Tx, volume_id: str, body: dict[str, str]) -> WholeMetadata:
    """Add to the metadata."""
    volume = changeable(call, tx, volume_id)
    return WholeMetadata(volumes.set_metadata(tx, volume.id, "metadata", body))


@route(
    "volume_metadata.replace",
    "PUT /volumes/{volume_id}/metadata",
    hop=WRITE,
    policy="volume:update_volume_metadata",
    body=Body("metadata", Metadata),
    errors=(412,),
)
def replace(call: Call, tx: Tx, volume_id: str, body: dict[str, str]) -> WholeMetadata:
    """Replace the metadata."""
    volume = changeable(call, tx, volume_id)
    check_match(call, WholeMetadata(shown(volume)))
    return WholeMetadata(volumes.set_metadata(tx, volume.id, "metadata", body, replace=True))


@route("volume_metadata.show", "GET /volumes/{volume_id}/metadata/{key}", policy="volume:get_volume_metadata")
def show(call: Call, tx: Tx, volume_id: str, key: str) -> OnePair:
    """One key."""
    return OnePair({key: item(shown(volumes.get(tx, volume_id, call.scope)), key)})


@route(
    "volume_metadata.update_item",
    "PUT /volumes/{volume_id}/metadata/{key}",
    hop=WRITE,
    policy="volume:update_volume_metadata",
    body=Body("meta", OneItem),
    errors=(412,),
)
def update_item(call: Call, tx: Tx, volume_id: str, key: str, body: dict[str, str]) -> OnePair:
    """Set one key."""
    same_key(key, body)
    volume = changeable(call, tx, volume_id)
    check_match(call, WholeMetadata(shown(volume)))
    volumes.set_metadata(tx, volume.id, "metadata", body)
    return OnePair(body)


@route(
    "volume_metadata.delete_item",
    "DELETE /volumes/{volume_id}/metadata/{key}",
    hop=WRITE,
    policy="volume:delete_volume_metadata",
)
def delete_item(call: Call, tx: Tx, volume_id: str, key: str) -> None:
    """Remove one key."""
    volume = changeable(call, tx, volume_id)
    item(volume.metadata, key)
    volumes.set_metadata(tx, volume.id, "metadata", {key: None})


def shown(volume: Volume) -> dict[str, str]:
    """The user's metadata and those keys of the administrators' that are shown."""
    hidden = volume.admin_metadata
    return volume.metadata | {key: hidden[key] for key in MERGED if key in hidden}


def changeable(call: Call, tx: Tx, volume_id: str) -> Volume:
    volume = volumes.lock(tx, volume_id, call.scope)
    edit.refuse_frozen_metadata(volume)
    return volume


def item(metadata: dict[str, str], key: str) -> str:
    if key not in metadata:
        raise NotFound(f"There is no metadata key {key!r}")
    return metadata[key]


def same_key(key: str, body: dict[str, Any]) -> None:
    if key not in body:
        raise BadRequest(
            "The key of the body is not the key of the URL", needed=repr(key), had=repr(next(iter(body), ""))
        )


def etag(answer: WholeMetadata) -> str:
    return hashlib.md5(msgspec.json.encode(answer), usedforsecurity=False).hexdigest()


def check_match(call: Call, current: WholeMetadata) -> None:
    if call.version < ETAGS or call.if_match is None or call.if_match.strip() == "*":
        return
    wanted = {tag.strip().removeprefix("W/").strip('"') for tag in call.if_match.split(",")}
    if etag(current) not in wanted:
        raise PreconditionFailed(needed=", ".join(sorted(wanted))[:200], had=etag(current))
