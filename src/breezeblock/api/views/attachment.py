# SPDX-License-Identifier: Apache-2.0
"""An attachment as the API shows it (3.27). `status` is its attach status; times that are not there are the empty string."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from breezeblock.api.views.links import Link
from breezeblock.model.attachment import Attachment


class AttachmentSummary(msgspec.Struct, frozen=True):
    id: str
    status: str
    instance: str | None
    volume_id: str


class AttachmentDetail(msgspec.Struct, frozen=True):
    id: str
    status: str
    instance: str | None
    volume_id: str
    attached_at: str
    detached_at: str
    attach_mode: str | None
    connection_info: dict[str, Any]


class OneAttachment(msgspec.Struct, frozen=True):
    attachment: AttachmentDetail


class AttachmentList(msgspec.Struct, frozen=True):
    attachments: list[AttachmentSummary]
    attachments_links: list[Link] | UnsetType = UNSET


class AttachmentDetailList(msgspec.Struct, frozen=True):
    attachments: list[AttachmentDetail]
    attachments_links: list[Link] | UnsetType = UNSET


def summaries(attachments: Iterable[Attachment]) -> list[AttachmentSummary]:
    return [AttachmentSummary(a.id, a.attach_status, a.instance_uuid, a.volume_id) for a in attachments]


def detail(a: Attachment, *, format: str | None = None) -> AttachmentDetail:
    """`format`: the volume's, where its owner needs to know it."""
    info = a.connection_info
    if info and format:
        info = {**info, "format": format}
    return AttachmentDetail(
        a.id,
        a.attach_status,
        a.instance_uuid,
        a.volume_id,
        a.attach_time or "",
        a.detach_time or "",
        a.attach_mode,
        info,
    )


def one(a: Attachment, *, format: str | None = None) -> OneAttachment:
    return OneAttachment(detail(a, format=format))
