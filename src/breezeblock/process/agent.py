# SPDX-License-Identifier: Apache-2.0
"""The agent's eye: are the volumes that this host should have, there? After a reboot (another boot id) or a dead exporter the attachment is
connected again by an operation; one that cannot be is marked stale with a finding. Looks only; the operation acts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial

from breezeblock.model.attachment import Attachment
from breezeblock.model.errors import Error
from breezeblock.model.observation import Found
from breezeblock.operations.host import reconnect
from breezeblock.operations.ports import Ports
from breezeblock.store import attachments
from breezeblock.store.database import Store
from breezeblock.store.transaction import Tx

log = logging.getLogger(__name__)


class Agent:
    """`leftovers` ends connections of other volumes than those given, as far as nobody uses them."""

    def __init__(
        self,
        store: Store,
        ports: Ports,
        leftovers: Callable[[Collection[str]], Sequence[str]] = lambda keep: (),
    ) -> None:
        self._store, self._ports, self._leftovers = store, ports, leftovers

    def look(self) -> None:
        """Every attachment of this host's agent that should be connected."""
        mine = self._store.read_sync(lambda tx: attachments.of_agent(tx, self._ports.host))
        for attachment in mine:
            if attachment.attach_status == "attached" and attachment.operation_id is None:
                reason = self._missing(attachment)
                if reason:
                    log.warning("attachment %s: %s; connecting again", attachment.id, reason)
                    self._store.write_sync(partial(_reconnect, attachment=attachment, reason=reason))
        for volume in self._leftovers({attachment.volume_id for attachment in mine}):
            log.info("what was left here of volume %s, detached by force, is gone", volume)

    def _missing(self, attachment: Attachment) -> str:
        """Why the volume is not here; "" when it is, or when nobody can tell."""
        if attachment.boot_id != self._ports.boot_id:
            return (
                f"the host was rebooted since (boot id {attachment.boot_id} then, {self._ports.boot_id} now)"
            )
        flat = dict(attachment.connection_info)
        kind = flat.pop("driver_volume_type", "")
        try:
            seen = self._ports.connector(kind).observe({"driver_volume_type": kind, "data": flat})
        except Error as error:
            log.warning("attachment %s cannot be looked at: %s", attachment.id, error)
            return ""
        if seen.found in (Found.NOT_DONE, Found.PARTIAL):
            return f"its device is not there ({seen.detail or seen.found})"
        return ""


def _reconnect(tx: Tx, *, attachment: Attachment, reason: str) -> None:
    reconnect.reconnect(tx, attachment.id, reason)
