# SPDX-License-Identifier: Apache-2.0
"""The declared operations against the contract's table: nothing differs, nothing is there twice, what is missing is written down."""

from __future__ import annotations

import pytest

from breezeblock.api import v3
from breezeblock.api.policy import DEFAULTS
from breezeblock.api.route import Route
from tests.api.contract_operations import OPERATIONS

DECLARED = {route.id: route for route in v3.routes()}
#: Answered before routing.
OUTSIDE = {"versions.all", "versions.v3", "healthcheck"}
#: Nouns whose operations are still to come.
TO_COME = {
    "backups", "cgsnapshots", "consistencygroups", "group_snapshots", "groups", "manageable_snapshots", "manageable_volumes",
    "os-snapshot-manage", "os-volume-manage", "workers",
}  # fmt: skip
#: Further operations to come, of nouns that are here.
TO_COME_SINGLY = {
    "services.failover_host", "services.failover", "services.set_log", "services.get_log", "snapshots.action.os-unmanage",
    "volumes.action.os-extend_volume_completion",
    "volumes.action.os-migrate_volume", "volumes.action.os-migrate_volume_completion", "volumes.action.os-reimage",
    "volumes.action.os-retype", "volumes.action.os-unmanage", "volumes.action.os-volume_upload_image",
}  # fmt: skip

HERE = [row for row in OPERATIONS if row[0] in DECLARED]


@pytest.mark.parametrize("row", HERE, ids=[row[0] for row in HERE])
def test_a_declared_operation_is_the_contracts(row: tuple[str, str, str, str, str, int, str]) -> None:
    id, method, path, action, first, status, code = row
    route: Route = DECLARED[id]
    assert (route.method, route.path, route.action or "") == (method, path, action)
    assert (f"3.{route.min}", route.status) == (first, status)
    codes = {DEFAULTS[rule] for rule in route.rules} or {"-"}
    assert (max(codes, key="-RMA".index)) == code


def test_every_operation_is_declared_or_known_to_be_missing() -> None:
    missing = {row[0] for row in OPERATIONS} - DECLARED.keys() - OUTSIDE
    assert {id for id in missing if id.partition(".")[0] not in TO_COME} == TO_COME_SINGLY
    assert {id.partition(".")[0] for id in DECLARED} & TO_COME == set()


def test_what_the_contract_does_not_know_is_under_the_extension() -> None:
    beyond = DECLARED.keys() - {row[0] for row in OPERATIONS}
    assert {id.partition(".")[0] for id in beyond} == {"breezeblock"}
    assert all(DECLARED[id].path.startswith("/breezeblock/") for id in beyond)
