# SPDX-License-Identifier: Apache-2.0
"""Beyond the contract, under /v3/breezeblock: operations, explain, attach and detach on a host, status, the OpenAPI document. Faults here
carry the whole catalogue entry. Needs no microversion."""

from __future__ import annotations

from types import ModuleType


def modules() -> tuple[ModuleType, ...]:
    """Where the extension's routes are declared."""
    from breezeblock.api.extension import document, explain, hosts, operations, status

    return operations, explain, hosts, status, document
