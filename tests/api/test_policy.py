# SPDX-License-Identifier: Apache-2.0
"""Rules, roles and projects."""

from __future__ import annotations

import pytest

from breezeblock.api import v3
from breezeblock.api.policy import DEFAULTS, Policy
from breezeblock.model.errors import Forbidden
from breezeblock.model.identity import Caller

ADMIN = Caller(user_id="u", project_id="p", is_admin=True)
MEMBER = Caller(user_id="u", project_id="p", roles=frozenset({"member"}))
READER = Caller(user_id="u", project_id="p", roles=frozenset({"reader"}))
NOBODY = Caller(user_id="u", project_id="p")


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [("volume:force_delete", [ADMIN]), ("volume:create", [ADMIN, MEMBER]), ("volume:get", [ADMIN, READER])],
)
def test_a_role_passes_its_own_rules_only(rule: str, allowed: list[Caller]) -> None:
    policy = Policy()
    assert [caller for caller in (ADMIN, MEMBER, READER, NOBODY) if policy.allows(rule, caller)] == allowed


def test_another_projects_resources_are_for_administrators() -> None:
    assert Policy().allows("volume:get", ADMIN, "q")
    assert not Policy().allows("volume:get", READER, "q")
    assert Policy().allows("volume:get", READER, "p")


def test_a_site_may_set_its_own_code() -> None:
    assert Policy({"volume:get": "A"}).allows("volume:get", ADMIN)
    assert not Policy({"volume:get": "A"}).allows("volume:get", READER)


def test_a_refusal_names_the_rule() -> None:
    with pytest.raises(Forbidden, match="volume:create"):
        Policy().require("volume:create", READER)


def test_an_unknown_rule_is_a_defect() -> None:
    with pytest.raises(KeyError):
        Policy().allows("volume:dance", ADMIN)


def test_every_declared_rule_is_known() -> None:
    assert {rule for route in v3.routes() for rule in route.rules} <= DEFAULTS.keys()
