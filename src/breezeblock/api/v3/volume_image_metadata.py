# SPDX-License-Identifier: Apache-2.0
"""What a volume remembers of the image it was made from."""

from __future__ import annotations

from typing import Annotated

import msgspec

from breezeblock.api.call import Call
from breezeblock.api.fields import ImageMetadata
from breezeblock.api.route import READ, WRITE, route
from breezeblock.api.v3.volume_actions import ACTION
from breezeblock.api.v3.volume_metadata import WholeMetadata, changeable
from breezeblock.model.errors import NotFound, TooLarge
from breezeblock.store import volumes
from breezeblock.store.transaction import Tx

#: In bytes of UTF-8, per value.
LONGEST = 65535


class SetImageMetadata(msgspec.Struct):
    metadata: ImageMetadata


class UnsetImageMetadata(msgspec.Struct):
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


@route(
    "volumes.action.os-show_image_metadata",
    ACTION,
    action="os-show_image_metadata",
    hop=READ,
    policy="volume:get_volume_metadata",
)
def show(call: Call, tx: Tx, volume_id: str) -> WholeMetadata:
    """All image metadata."""
    return WholeMetadata(volumes.get(tx, volume_id, call.scope).image_metadata)


@route(
    "volumes.action.os-set_image_metadata",
    ACTION,
    action="os-set_image_metadata",
    hop=WRITE,
    policy="volume_extension:volume_image_metadata:set",
    body=SetImageMetadata,
    errors=(413,),
)
def merge(call: Call, tx: Tx, volume_id: str, body: SetImageMetadata) -> WholeMetadata:
    """Add image metadata."""
    long = next((key for key, value in body.metadata.items() if len(value.encode()) > LONGEST), None)
    if long is not None:
        raise TooLarge(f"The image metadata value of {long!r} is too long", needed=f"at most {LONGEST} bytes")
    volume = changeable(call, tx, volume_id)
    return WholeMetadata(volumes.set_metadata(tx, volume.id, "image_metadata", body.metadata))


@route(
    "volumes.action.os-unset_image_metadata",
    ACTION,
    action="os-unset_image_metadata",
    hop=WRITE,
    policy="volume_extension:volume_image_metadata:remove",
    body=UnsetImageMetadata,
)
def remove(call: Call, tx: Tx, volume_id: str, body: UnsetImageMetadata) -> None:
    """Remove one key."""
    volume = changeable(call, tx, volume_id)
    if body.key not in volume.image_metadata:
        raise NotFound(f"There is no image metadata key {body.key!r}")
    volumes.set_metadata(tx, volume.id, "image_metadata", {body.key: None})
