# SPDX-License-Identifier: Apache-2.0
"""A volume type: a name for wishes (extra specs) that the scheduler and the driver read."""

from __future__ import annotations

import msgspec


class VolumeType(msgspec.Struct, frozen=True):
    id: str
    name: str
    description: str | None
    is_public: bool
    qos_specs_id: str | None
    extra_specs_json: str
    created_at: str
    updated_at: str | None

    @property
    def extra_specs(self) -> dict[str, str | None]:
        return msgspec.json.decode(self.extra_specs_json, type=dict[str, str | None])


#: The type that a volume gets when nobody names one.
DEFAULT_TYPE = "__DEFAULT__"
