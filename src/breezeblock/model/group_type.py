# SPDX-License-Identifier: Apache-2.0
"""A group type: a name for wishes (group specs) about how the volumes of a group belong together."""

from __future__ import annotations

import msgspec


class GroupType(msgspec.Struct, frozen=True):
    """Field order = column order of store.group_types."""

    id: str
    name: str
    description: str | None
    is_public: bool
    group_specs_json: str
    created_at: str
    updated_at: str | None

    @property
    def group_specs(self) -> dict[str, str | None]:
        return msgspec.json.decode(self.group_specs_json, type=dict[str, str | None])
