# SPDX-License-Identifier: Apache-2.0
"""A volume type: a name for wishes (extra specs) that the scheduler and the driver read."""

from __future__ import annotations

import msgspec


class Encryption(msgspec.Struct, frozen=True, kw_only=True):
    """How volumes of a type are encrypted. `key_size` in bits."""

    encryption_id: str
    provider: str
    control_location: str
    cipher: str | None = None
    key_size: int | None = None
    created_at: str
    updated_at: str | None = None


class VolumeType(msgspec.Struct, frozen=True):
    id: str
    name: str
    description: str | None
    is_public: bool
    qos_specs_id: str | None
    extra_specs_json: str
    encryption_json: str
    created_at: str
    updated_at: str | None

    @property
    def extra_specs(self) -> dict[str, str | None]:
        return msgspec.json.decode(self.extra_specs_json, type=dict[str, str | None])

    @property
    def encryption(self) -> Encryption | None:
        return msgspec.json.decode(self.encryption_json, type=Encryption) if self.encryption_json else None


#: The type that a volume gets when nobody names one.
DEFAULT_TYPE = "__DEFAULT__"
