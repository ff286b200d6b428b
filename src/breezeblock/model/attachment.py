# SPDX-License-Identifier: Apache-2.0
"""An attachment: one consumer's claim on a volume, from reserved to attached."""

from __future__ import annotations

from typing import Any

import msgspec


class Attachment(msgspec.Struct, frozen=True):
    """`attach_mode` is the string "null" until known. `connection_json` holds no secret: a connection with one is refused until it can be
    sealed. Field order = column order."""

    id: str
    volume_id: str
    project_id: str
    instance_uuid: str | None
    attached_host: str | None
    mountpoint: str | None
    attach_mode: str
    attach_status: str
    connector_json: str
    connection_json: str
    attach_time: str | None
    detach_time: str | None
    operation_id: str | None
    #: agent attachments: what the agent's host made of it (Device as JSON), and that host's boot id then.
    agent_host: str | None
    device_json: str
    boot_id: str | None
    created_at: str
    updated_at: str | None

    @property
    def connector(self) -> dict[str, Any]:
        return msgspec.json.decode(self.connector_json, type=dict[str, Any]) if self.connector_json else {}

    @property
    def connection_info(self) -> dict[str, Any]:
        return msgspec.json.decode(self.connection_json, type=dict[str, Any]) if self.connection_json else {}

    @property
    def device(self) -> dict[str, Any]:
        return msgspec.json.decode(self.device_json, type=dict[str, Any]) if self.device_json else {}
