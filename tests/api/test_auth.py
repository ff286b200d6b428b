# SPDX-License-Identifier: Apache-2.0
"""Tokens become callers, or are refused."""

from __future__ import annotations

import asyncio

import pytest

from breezeblock.api.auth import LocalTokens, NoAuth
from breezeblock.model.errors import Unauthenticated
from breezeblock.model.identity import Caller

ALICE = Caller(user_id="a", project_id="p")
BOB = Caller(user_id="b", project_id="q")


def test_a_local_token_stands_for_its_caller() -> None:
    tokens = LocalTokens({"one": ALICE, "two": BOB})
    assert asyncio.run(tokens.authenticate("one", None)) is ALICE
    assert asyncio.run(tokens.authenticate("two", None)) is BOB


@pytest.mark.parametrize("token", [None, "", "on", "onee", "\udcff"])
def test_anything_else_is_refused(token: str | None) -> None:
    with pytest.raises(Unauthenticated):
        asyncio.run(LocalTokens({"one": ALICE}).authenticate(token, None))


def test_a_local_token_is_not_kept_as_it_is() -> None:
    assert b"one-secret-token" not in repr(vars(LocalTokens)).encode()
    tokens = LocalTokens({"one-secret-token": ALICE})
    assert "one-secret-token" not in repr(tokens._callers)


def test_without_authentication_the_token_may_name_user_and_project() -> None:
    nobody = NoAuth(ALICE)
    assert asyncio.run(nobody.authenticate(None, None)) is ALICE
    named = asyncio.run(nobody.authenticate("carol:r", None))
    assert (named.user_id, named.project_id, named.is_admin) == ("carol", "r", True)
    assert asyncio.run(nobody.authenticate("carol", None)).project_id == "p"
