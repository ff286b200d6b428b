# SPDX-License-Identifier: Apache-2.0
"""Who may do what: the contract's named rules as data, checked once per request at the edge. A rule is one of three codes: A admin,
M member of the project, R reader of the project; an administrator passes all. Roles are taken as the token has them (Keystone expands
implied roles). Must never look at a resource: queries are limited to the caller's project anyway."""

from __future__ import annotations

from collections.abc import Mapping

from breezeblock.model.errors import Forbidden
from breezeblock.model.identity import Caller

ADMIN, MEMBER, READER = "A", "M", "R"

_ACTIONS = "volume_extension:volume_actions:"
_ADMIN_ACTIONS = "volume_extension:volume_admin_actions:"

DEFAULTS: Mapping[str, str] = {
    "volume:get_all": READER,
    "volume:get": READER,
    "volume:create": MEMBER,
    "volume:create_from_image": MEMBER,
    "volume:multiattach": MEMBER,
    "volume:update": MEMBER,
    "volume:delete": MEMBER,
    "volume:force_delete": ADMIN,
    "volume:extend": MEMBER,
    "volume:extend_attached_volume": MEMBER,
    "volume:revert_to_snapshot": MEMBER,
    "volume:update_readonly_flag": MEMBER,
    "volume:get_volume_metadata": READER,
    "volume:create_volume_metadata": MEMBER,
    "volume:update_volume_metadata": MEMBER,
    "volume:delete_volume_metadata": MEMBER,
    "volume:update_volume_admin_metadata": ADMIN,
    "volume:attachment_create": MEMBER,
    "volume:attachment_update": MEMBER,
    "volume:attachment_delete": MEMBER,
    "volume:attachment_complete": MEMBER,
    "volume:multiattach_bootable_volume": MEMBER,
    "volume:get_all_transfers": READER,
    "volume:get_transfer": READER,
    "volume:create_transfer": MEMBER,
    "volume:accept_transfer": MEMBER,
    "volume:delete_transfer": MEMBER,
    "volume:get_all_snapshots": READER,
    "volume:create_snapshot": MEMBER,
    "volume:get_snapshot": READER,
    "volume:update_snapshot": MEMBER,
    "volume:delete_snapshot": MEMBER,
    "volume:get_snapshot_metadata": READER,
    "volume:update_snapshot_metadata": MEMBER,
    "volume:delete_snapshot_metadata": MEMBER,
    _ACTIONS + "reserve": MEMBER,
    _ACTIONS + "unreserve": MEMBER,
    _ACTIONS + "begin_detaching": MEMBER,
    _ACTIONS + "roll_detaching": MEMBER,
    _ACTIONS + "attach": MEMBER,
    _ACTIONS + "detach": MEMBER,
    _ACTIONS + "initialize_connection": MEMBER,
    _ACTIONS + "terminate_connection": MEMBER,
    _ADMIN_ACTIONS + "reset_status": ADMIN,
    _ADMIN_ACTIONS + "force_delete": ADMIN,
    _ADMIN_ACTIONS + "force_detach": ADMIN,
    "volume_extension:volume_image_metadata:set": MEMBER,
    "volume_extension:volume_image_metadata:remove": MEMBER,
    "volume_extension:snapshot_admin_actions:reset_status": ADMIN,
    "volume_extension:snapshot_admin_actions:force_delete": ADMIN,
    "snapshot_extension:snapshot_actions:update_snapshot_status": MEMBER,
    "volume_extension:volume_host_attribute": ADMIN,
    "volume_extension:volume_tenant_attribute": READER,
    "volume_extension:volume_mig_status_attribute": ADMIN,
    "volume_extension:volume_image_metadata:show": READER,
    "volume_extension:extended_snapshot_attributes": READER,
    "volume_extension:volume_encryption_metadata": READER,
    "volume_extension:type_get_all": READER,
    "volume_extension:type_get": READER,
    "volume_extension:type_create": ADMIN,
    "volume_extension:type_update": ADMIN,
    "volume_extension:type_delete": ADMIN,
    "volume_extension:access_types_extra_specs": READER,
    "volume_extension:access_types_qos_specs_id": ADMIN,
    "volume_extension:volume_type_access": MEMBER,
    "volume_extension:types_extra_specs:index": READER,
    "volume_extension:types_extra_specs:show": READER,
    "volume_extension:types_extra_specs:create": ADMIN,
    "volume_extension:types_extra_specs:update": ADMIN,
    "volume_extension:types_extra_specs:delete": ADMIN,
    "volume_extension:types_extra_specs:read_sensitive": ADMIN,
    "volume_extension:volume_type_access:get_all_for_type": ADMIN,
    "volume_extension:volume_type_access:addProjectAccess": ADMIN,
    "volume_extension:volume_type_access:removeProjectAccess": ADMIN,
    "volume_extension:volume_type_encryption:get": ADMIN,
    "volume_extension:volume_type_encryption:create": ADMIN,
    "volume_extension:volume_type_encryption:update": ADMIN,
    "volume_extension:volume_type_encryption:delete": ADMIN,
    "volume_extension:default_get": ADMIN,
    "volume_extension:default_get_all": ADMIN,
    "volume_extension:default_set_or_update": ADMIN,
    "volume_extension:default_unset": ADMIN,
    "volume_extension:qos_specs_manage:get_all": ADMIN,
    "volume_extension:qos_specs_manage:get": ADMIN,
    "volume_extension:qos_specs_manage:create": ADMIN,
    "volume_extension:qos_specs_manage:update": ADMIN,
    "volume_extension:qos_specs_manage:delete": ADMIN,
    "volume_extension:quota_classes:get": ADMIN,
    "volume_extension:quota_classes:update": ADMIN,
    "volume_extension:quotas:show": READER,
    "volume_extension:quotas:update": ADMIN,
    "volume_extension:quotas:delete": ADMIN,
    "limits_extension:used_limits": READER,
    "volume_extension:services:index": ADMIN,
    "volume_extension:services:update": ADMIN,
    "volume_extension:hosts": ADMIN,
    "volume_extension:capabilities": ADMIN,
    "clusters:get_all": ADMIN,
    "clusters:get": ADMIN,
    "clusters:update": ADMIN,
    "group:access_group_types_specs": ADMIN,
    "group:group_types:create": ADMIN,
    "group:group_types:update": ADMIN,
    "group:group_types:delete": ADMIN,
    "group:group_types_specs:get_all": ADMIN,
    "group:group_types_specs:get": ADMIN,
    "group:group_types_specs:create": ADMIN,
    "group:group_types_specs:update": ADMIN,
    "group:group_types_specs:delete": ADMIN,
    "volume:freeze_host": ADMIN,
    "volume:thaw_host": ADMIN,
    "scheduler_extension:scheduler_stats:get_pools": ADMIN,
    "message:get_all": READER,
    "message:get": READER,
    "message:delete": MEMBER,
    # Beyond the contract: the extension under /breezeblock.
    "breezeblock:operations": READER,
    "breezeblock:cancel": MEMBER,
    "breezeblock:explain": READER,
    "breezeblock:attach": MEMBER,
    "breezeblock:status": ADMIN,
}


class Policy:
    """The rules in force: the defaults with a site's own codes over them. An unknown rule is a defect and raises KeyError."""

    __slots__ = ("_codes",)

    def __init__(self, over: Mapping[str, str] | None = None) -> None:
        self._codes = {**DEFAULTS, **(over or {})}

    def allows(self, rule: str, caller: Caller, project_id: str | None = None) -> bool:
        """`project_id`: whose resources the call is about; None means the caller's own."""
        code = self._codes[rule]
        if caller.is_admin or "admin" in caller.roles:
            return True
        if code == ADMIN or (project_id is not None and project_id != caller.project_id):
            return False
        return ("member" if code == MEMBER else "reader") in caller.roles

    def require(self, rule: str, caller: Caller, project_id: str | None = None) -> None:
        if not self.allows(rule, caller, project_id):
            raise Forbidden(f"Policy does not allow {rule} to be performed", rule=rule)
