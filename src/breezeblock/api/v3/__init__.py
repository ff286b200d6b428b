# SPDX-License-Identifier: Apache-2.0
"""The resources of the contract, one file each. `routes` collects what they declare."""

from __future__ import annotations

from breezeblock.api.route import Route, declared_in


def routes() -> tuple[Route, ...]:
    """Every declared operation, the extension's included."""
    from breezeblock.api import extension
    from breezeblock.api.v3 import (
        attachments,
        clusters,
        default_types,
        extensions,
        group_types,
        hosts,
        limits,
        messages,
        pools,
        qos,
        quota_class_sets,
        quota_sets,
        resource_filters,
        services,
        snapshot_actions,
        snapshot_metadata,
        snapshots,
        transfers,
        type_access,
        type_encryption,
        type_extra_specs,
        types,
        volume_actions,
        volume_admin_actions,
        volume_connections,
        volume_encryption,
        volume_image_metadata,
        volume_metadata,
        volumes,
        zones,
    )

    return declared_in(
        volumes,
        volume_metadata,
        volume_actions,
        volume_admin_actions,
        volume_connections,
        volume_image_metadata,
        volume_encryption,
        transfers,
        snapshots,
        snapshot_metadata,
        snapshot_actions,
        attachments,
        types,
        type_extra_specs,
        type_access,
        type_encryption,
        default_types,
        qos,
        limits,
        quota_sets,
        quota_class_sets,
        group_types,
        services,
        clusters,
        hosts,
        pools,
        zones,
        extensions,
        messages,
        resource_filters,
        *extension.modules(),
    )
