# SPDX-License-Identifier: Apache-2.0
"""What is to be placed. Whole: everything that filters and weighers look at is in here or in the pools, looked up by the caller before.
Must never hold anything that cannot be written as JSON, because it is stored with the decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from breezeblock.model.units import GiB


class PlacementRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes. A reference to a place is host@backend#pool, host@backend or a backend id."""

    volume_id: str
    size: int
    #: Name of the verb as the contract spells it: create_volume, extend_volume, retype_volume, migrate_volume, create_snapshot ...
    operation: str = "create_volume"
    #: For an extend: the size wanted, `size` being the present one.
    new_size: int | None = None
    project_id: str = ""
    type_name: str = ""
    extra_specs: Mapping[str, str | None] = {}
    qos: Mapping[str, Any] = {}
    availability_zone: str | None = None
    availability_zones: tuple[str, ...] = ()
    #: Scheduler hints as the client sent them: same_host, different_host, local_to_instance, query ...
    hints: Mapping[str, Any] = {}
    #: For the volumes that the hints name and the caller may see: volume id -> host@backend#pool.
    located: Mapping[str, str] = {}
    #: The hypervisor of the instance named by local_to_instance; None when it could not be learnt.
    instance_host: str | None = None
    #: Places that were tried for this request and failed.
    excluded: tuple[str, ...] = ()
    #: The first pass is 1; one more for each time the operation comes back to placement.
    attempt: int = 1
    #: Only this place will do: the backend of a source, the destination of a migration, the home of a volume that grows.
    only_on: str | None = None
    #: For a retype: where the volume is now. It needs no new room there, and stays there when it can.
    lives_on: str | None = None
    #: For a retype: False (migration policy 'never') refuses every other place.
    may_move: bool = True
    #: The volume has a session, so only an online extend helps.
    attached: bool = False
    #: More of the volume for `volume.<name>` in filter functions (metadata, name, ...).
    volume: Mapping[str, Any] = {}

    def requested(self) -> int:
        """Bytes of new room that are asked for."""
        return self.size if self.new_size is None else self.new_size - self.size

    def wants_thin(self) -> bool:
        return self.extra_specs.get("provisioning:type") != "thick"

    def seed(self) -> str:
        """What chance is drawn from: the same request, put again, draws the same."""
        return f"{self.volume_id}/{self.operation}/{self.attempt}"

    def volume_facts(self) -> dict[str, Any]:
        """The volume under the names that filter functions use. Sizes in GiB."""
        return {
            **self.volume,
            "id": self.volume_id,
            "size": self.size / GiB,
            "project_id": self.project_id,
            "volume_type": self.type_name,
            "availability_zone": self.availability_zone or "",
        }
