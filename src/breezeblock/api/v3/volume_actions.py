# SPDX-License-Identifier: Apache-2.0
"""Actions of a volume's owner: reserve and detach marks, extend, bootable, readonly, revert."""

from __future__ import annotations

from typing import Annotated

import msgspec

from breezeblock.api.call import Call
from breezeblock.api.fields import GiBSize, gib
from breezeblock.api.route import WRITE, route
from breezeblock.api.truth import Truth, truth
from breezeblock.operations.volume import edit
from breezeblock.operations.volume.extend import extend
from breezeblock.operations.volume.revert import revert
from breezeblock.store.transaction import Tx

ACTION = "POST /volumes/{volume_id}/action"
RULE = "volume_extension:volume_actions:"
#: In-use volumes can be extended from here on.
EXTEND_IN_USE = 42


class Extend(msgspec.Struct):
    new_size: GiBSize


class SetBootable(msgspec.Struct):
    bootable: Truth


class SetReadonly(msgspec.Struct):
    readonly: Truth


class Revert(msgspec.Struct):
    snapshot_id: Annotated[str, msgspec.Meta(max_length=255)] | None = None


@route(
    "volumes.action.os-reserve", ACTION, action="os-reserve", hop=WRITE, status=202, policy=RULE + "reserve"
)
def reserve(call: Call, tx: Tx, volume_id: str) -> None:
    """Mark a volume as about to be attached."""
    edit.reserve(tx, call.caller, volume_id)


@route(
    "volumes.action.os-unreserve",
    ACTION,
    action="os-unreserve",
    hop=WRITE,
    status=202,
    policy=RULE + "unreserve",
)
def unreserve(call: Call, tx: Tx, volume_id: str) -> None:
    """Take that mark back; in any other status nothing happens."""
    edit.unreserve(tx, call.caller, volume_id)


@route(
    "volumes.action.os-begin_detaching",
    ACTION,
    action="os-begin_detaching",
    hop=WRITE,
    status=202,
    policy=RULE + "begin_detaching",
)
def begin_detaching(call: Call, tx: Tx, volume_id: str) -> None:
    """Mark a volume as about to be detached."""
    edit.begin_detaching(tx, call.caller, volume_id)


@route(
    "volumes.action.os-roll_detaching",
    ACTION,
    action="os-roll_detaching",
    hop=WRITE,
    status=202,
    policy=RULE + "roll_detaching",
)
def roll_detaching(call: Call, tx: Tx, volume_id: str) -> None:
    """Take that mark back; in any other status nothing happens."""
    edit.roll_detaching(tx, call.caller, volume_id)


@route(
    "volumes.action.os-extend",
    ACTION,
    action="os-extend",
    hop=WRITE,
    status=202,
    policy="volume:extend",
    body=Extend,
    errors=(413,),
)
def extend_volume(call: Call, tx: Tx, volume_id: str, body: Extend) -> None:
    """Make a volume larger; from 3.42 also one in use."""
    attached = call.version >= EXTEND_IN_USE and call.allows("volume:extend_attached_volume")
    call.operation_id = extend(tx, call.caller, volume_id, gib(body.new_size), attached_allowed=attached)


@route(
    "volumes.action.os-set_bootable",
    ACTION,
    action="os-set_bootable",
    hop=WRITE,
    policy="volume:update",
    body=SetBootable,
)
def set_bootable(call: Call, tx: Tx, volume_id: str, body: SetBootable) -> None:
    """Say whether an instance can boot from the volume."""
    edit.set_bootable(tx, call.caller, volume_id, bool(truth(body.bootable)))


@route(
    "volumes.action.os-update_readonly_flag",
    ACTION,
    action="os-update_readonly_flag",
    hop=WRITE,
    status=202,
    policy="volume:update_readonly_flag",
    body=SetReadonly,
)
def set_readonly(call: Call, tx: Tx, volume_id: str, body: SetReadonly) -> None:
    """Say whether the volume may be attached for reading only."""
    edit.set_readonly(tx, call.caller, volume_id, bool(truth(body.readonly)))


@route(
    "volumes.action.revert",
    ACTION,
    action="revert",
    hop=WRITE,
    status=202,
    policy="volume:revert_to_snapshot",
    body=Revert,
    min=40,
    errors=(409,),
)
def revert_volume(call: Call, tx: Tx, volume_id: str, body: Revert) -> None:
    """Bring a volume back to its newest snapshot."""
    call.operation_id = revert(tx, call.caller, volume_id, body.snapshot_id)
