# SPDX-License-Identifier: Apache-2.0
"""A snapshot's metadata: the whole and its single keys (which have no slash)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fields import SnapshotMetadata
from breezeblock.api.route import WRITE, route
from breezeblock.api.v3.volume_metadata import OnePair, WholeMetadata, item, same_key
from breezeblock.store import snapshots
from breezeblock.store.transaction import Tx

OneItem = Annotated[SnapshotMetadata, msgspec.Meta(min_length=1, max_length=1)]


@route(
    "snapshot_metadata.list", "GET /snapshots/{snapshot_id}/metadata", policy="volume:get_snapshot_metadata"
)
def index(call: Call, tx: Tx, snapshot_id: str) -> WholeMetadata:
    """All metadata."""
    return WholeMetadata(snapshots.get(tx, snapshot_id, call.scope).metadata)


@route(
    "snapshot_metadata.create",
    "POST /snapshots/{snapshot_id}/metadata",
    hop=WRITE,
    policy="volume:update_snapshot_metadata",
    body=Body("metadata", SnapshotMetadata),
)
def merge(call: Call, tx: Tx, snapshot_id: str, body: dict[str, str]) -> WholeMetadata:
    """Add to the metadata."""
    return WholeMetadata(snapshots.set_metadata(tx, snapshots.get(tx, snapshot_id, call.scope).id, body))


@route(
    "snapshot_metadata.replace",
    "PUT /snapshots/{snapshot_id}/metadata",
    hop=WRITE,
    policy="volume:update_snapshot_metadata",
    body=Body("metadata", SnapshotMetadata),
)
def replace(call: Call, tx: Tx, snapshot_id: str, body: dict[str, str]) -> WholeMetadata:
    """Replace the metadata."""
    found = snapshots.get(tx, snapshot_id, call.scope)
    return WholeMetadata(snapshots.set_metadata(tx, found.id, body, replace=True))


@route(
    "snapshot_metadata.show",
    "GET /snapshots/{snapshot_id}/metadata/{key}",
    policy="volume:get_snapshot_metadata",
)
def show(call: Call, tx: Tx, snapshot_id: str, key: str) -> OnePair:
    """One key."""
    return OnePair({key: item(snapshots.get(tx, snapshot_id, call.scope).metadata, key)})


@route(
    "snapshot_metadata.update_item",
    "PUT /snapshots/{snapshot_id}/metadata/{key}",
    hop=WRITE,
    policy="volume:update_snapshot_metadata",
    body=Body("meta", OneItem),
)
def update_item(call: Call, tx: Tx, snapshot_id: str, key: str, body: dict[str, str]) -> OnePair:
    """Set one key."""
    same_key(key, body)
    snapshots.set_metadata(tx, snapshots.get(tx, snapshot_id, call.scope).id, body)
    return OnePair(body)


@route(
    "snapshot_metadata.delete_item",
    "DELETE /snapshots/{snapshot_id}/metadata/{key}",
    hop=WRITE,
    policy="volume:delete_snapshot_metadata",
)
def delete_item(call: Call, tx: Tx, snapshot_id: str, key: str) -> None:
    """Remove one key."""
    found = snapshots.get(tx, snapshot_id, call.scope)
    item(found.metadata, key)
    snapshots.set_metadata(tx, found.id, {key: None})
