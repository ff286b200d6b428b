# SPDX-License-Identifier: Apache-2.0
"""What the API should say, in a few lines: volumes, snapshots and attachments as plain records, and for each verb whether it starts, read
from the tables of model/status.py and nothing else. The machine compares this with what the service did."""

from __future__ import annotations

from dataclasses import dataclass, field

from breezeblock.model import status as states


@dataclass
class Attachment:
    id: str
    status: str
    #: by the agent of this host; then `device` is the path.
    device: str = ""


@dataclass
class Volume:
    id: str
    size: int
    tag: int
    status: str = "available"
    attachments: dict[str, Attachment] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def attached(self) -> bool:
        return any(one.status == "attached" for one in self.attachments.values())

    @property
    def device(self) -> str:
        return next((one.device for one in self.attachments.values() if one.device), "")

    def settle(self) -> None:
        """After an attachment came or went."""
        self.status = states.after_detach([one.status for one in self.attachments.values()], self.status)


@dataclass
class Snapshot:
    id: str
    volume: str
    size: int
    tag: int
    status: str = "available"


@dataclass
class Model:
    """`grows_attached`: what the backend declares. Snapshots are in the order in which they were taken."""

    grows_attached: bool
    volumes: dict[str, Volume] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)

    def snapshots_of(self, volume: Volume) -> list[Snapshot]:
        return [one for one in self.snapshots.values() if one.volume == volume.id]

    def starts(self, verb: str, volume: Volume) -> bool:
        """Does model/status.py let the verb start from the volume's status?"""
        move = states.VOLUME_MOVES[verb]
        return volume.status in states.allowed(move, force=verb == "snapshot")

    def may_delete(self, volume: Volume, *, cascade: bool) -> bool:
        mine = self.snapshots_of(volume)
        whole = all(one.status in states.SNAPSHOT_MOVES["delete"].frm for one in mine)
        return self.starts("delete", volume) and not volume.attached and (whole if cascade else not mine)

    def may_extend(self, volume: Volume) -> bool:
        return self.starts("extend", volume) or (
            self.starts("extend_attached", volume) and self.grows_attached and bool(volume.device)
        )

    def may_revert(self, volume: Volume, snapshot: Snapshot) -> bool:
        mine = self.snapshots_of(volume)
        newest = bool(mine) and mine[-1] is snapshot
        usable = snapshot.status in states.SNAPSHOT_MOVES["revert"].frm
        return newest and usable and snapshot.size == volume.size and self.starts("revert", volume)
