# SPDX-License-Identifier: Apache-2.0
"""A user message: why something failed, for its owner."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, Raw, UnsetType

from breezeblock.api.call import Call
from breezeblock.api.views import links
from breezeblock.api.views.links import Link
from breezeblock.store.messages import Message


class MessageDetail(msgspec.Struct, frozen=True):
    id: str
    event_id: str
    user_message: str
    message_level: str
    created_at: str
    guaranteed_until: str
    request_id: str | None
    links: Raw
    resource_type: str | None
    resource_uuid: str | None


class OneMessage(msgspec.Struct, frozen=True):
    message: MessageDetail


class MessageList(msgspec.Struct, frozen=True):
    messages: list[MessageDetail]
    messages_links: list[Link] | UnsetType = UNSET


def details(call: Call, messages: Iterable[Message]) -> list[MessageDetail]:
    pair = links.pair(call, "messages")
    return [
        MessageDetail(
            m.id,
            m.event_id,
            m.text,
            m.level,
            m.created_at,
            m.expires_at,
            m.request_id,
            pair(m.id),
            m.resource_type,
            m.resource_uuid,
        )
        for m in messages
    ]
