# SPDX-License-Identifier: Apache-2.0
"""The offer of a volume to whoever has its key."""

from __future__ import annotations

import hashlib
import hmac
import secrets

import msgspec


class Transfer(msgspec.Struct, frozen=True):
    """Field order = column order of store.transfers. `project_id`: who offers."""

    id: str
    volume_id: str
    project_id: str
    name: str | None
    key_salt: str
    key_hash: str
    no_snapshots: bool
    created_at: str

    def opens(self, key: str) -> bool:
        """Whether this is the key, in a time that tells nothing of it."""
        return hmac.compare_digest(_hash(self.key_salt, key), self.key_hash)


class Key(msgspec.Struct, frozen=True):
    """A new key with what is stored of it. 128 random bits need no slow hash: there is nothing to guess."""

    text: str
    salt: str
    hash: str

    @classmethod
    def new(cls) -> Key:
        text, salt = secrets.token_hex(16), secrets.token_hex(16)
        return cls(text, salt, _hash(salt, text))


def _hash(salt: str, key: str) -> str:
    return hashlib.sha256(f"{salt}:{key}".encode(errors="surrogatepass")).hexdigest()
