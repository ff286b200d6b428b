# SPDX-License-Identifier: Apache-2.0
"""Detaching what a client left attached, which no agent knows of."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.cli.exits import OK, REFUSED
from tests.cli.conftest import Command
from tests.cli.fake import Fake, Reply, volume

VOLUME, LEFT = volume()["id"], "cccccccc-0000-4000-8000-000000000001"


def left(**more: Any) -> dict[str, Any]:
    return {
        "id": LEFT,
        "volume_id": VOLUME,
        "status": "attached",
        "device": None,
        "uri": None,
        "host": "there",
        **more,
    }


@pytest.fixture
def nothing_of_an_agent(fake: Fake) -> Fake:
    error = {
        "code": "not-found",
        "message": "Not by an agent",
        "needed": "a",
        "had": "b",
        "remedy": "Force it.",
    }
    fake.on("GET", "/v3/attachments", Reply(200, {"attachments": [{"id": LEFT}]}))
    fake.on("GET", f"/v3/breezeblock/attachments/{LEFT}", Reply(200, {"attachment": left()}))
    refusal = {"itemNotFound": {"code": 404, "message": "Not by an agent", "error": error}}
    fake.on("POST", "/v3/breezeblock/detach", Reply(404, refusal))
    fake.on("DELETE", f"/v3/attachments/{LEFT}", Reply(200, {"attachments": []}))
    return fake


def ended(fake: Fake) -> bool:
    return any(asked.method == "DELETE" for asked in fake.asked)


@pytest.mark.parametrize("what", [VOLUME, LEFT])
def test_forced_it_ends_the_attachment_that_a_client_left(
    nothing_of_an_agent: Fake, command: Command, what: str
) -> None:
    ran = command("detach", what, "--force", "--json")
    assert (ran.status, ran.document["operation"]) == (OK, None)
    assert ended(nothing_of_an_agent)


def test_unforced_it_leaves_a_clients_attachment_alone(nothing_of_an_agent: Fake, command: Command) -> None:
    ran = command("detach", VOLUME)
    assert ran.status == REFUSED
    assert "Force it." in ran.err
    assert not ended(nothing_of_an_agent)


def test_a_session_that_is_open_is_not_cut_by_the_force(nothing_of_an_agent: Fake, command: Command) -> None:
    fault = {
        "conflictingRequest": {"code": 409, "message": "volume-x is held open; there was qemu-img (pid 7)."}
    }
    nothing_of_an_agent.on("DELETE", f"/v3/attachments/{LEFT}", Reply(409, fault))
    ran = command("detach", VOLUME, "--force")
    assert ran.status == REFUSED
    assert "qemu-img (pid 7)" in ran.err
