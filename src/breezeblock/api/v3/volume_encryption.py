# SPDX-License-Identifier: Apache-2.0
"""What a volume tells of its encryption: the id of its key and how its type encrypts; never a key."""

from __future__ import annotations

from typing import Any

from breezeblock.api.call import Call
from breezeblock.api.route import route
from breezeblock.api.wire import PlainText
from breezeblock.model.errors import NotFound
from breezeblock.store import types, volumes
from breezeblock.store.transaction import Tx

RULE = "volume_extension:volume_encryption_metadata"
PATH = "/volumes/{volume_id}/encryption"


@route("volume_encryption.list", f"GET {PATH}", policy=RULE)
def index(call: Call, tx: Tx, volume_id: str) -> dict[str, Any]:
    """A volume's encryption; only a null key id when it is not encrypted."""
    return _metadata(call, tx, volume_id)


@route("volume_encryption.show", f"GET {PATH}/{{key}}", policy=RULE)
def show(call: Call, tx: Tx, volume_id: str, key: str) -> PlainText:
    """One value of it, as bare text."""
    found = _metadata(call, tx, volume_id)
    if key not in found:
        raise NotFound(f"The encryption of volume {volume_id} has no {key[:60]!r}")
    return PlainText("" if found[key] is None else str(found[key]))


def _metadata(call: Call, tx: Tx, volume_id: str) -> dict[str, Any]:
    volume = volumes.get(tx, volume_id, None if call.caller.is_admin else call.caller.project_id)
    found: dict[str, Any] = {"encryption_key_id": volume.encryption_key_id}
    if volume.encryption_key_id is not None and volume.volume_type_id:
        encryption = types.get(tx, volume.volume_type_id).encryption
        if encryption is not None:
            found |= {
                "control_location": encryption.control_location,
                "cipher": encryption.cipher,
                "key_size": encryption.key_size,
                "provider": encryption.provider,
            }
    return found
