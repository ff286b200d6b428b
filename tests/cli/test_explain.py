# SPDX-License-Identifier: Apache-2.0
"""Who holds a thing, as `breezeblock explain` prints it."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.cli.actions.operation import explained

VOLUME = "aaaaaaaa-0000-4000-8000-000000000001"
SINCE = "2026-11-21T10:00:00.000000"


def lines(holder: dict[str, Any] | None) -> list[str]:
    document = {
        "id": VOLUME,
        "resource_type": "volume",
        "status": "reserved",
        "holder": holder,
        "sentences": ["One.", "Two."],
        "placement": None,
        "operations": [],
        "attachments": [],
    }
    return explained(document).splitlines()


def test_nobody_is_not_mentioned() -> None:
    assert lines(None) == [f"volume {VOLUME} is reserved", "  One.", "  Two."]


@pytest.mark.parametrize(
    ("holder", "begins", "ends"),
    [
        ({"kind": "operation", "id": "o1", "since": SINCE, "who": "host-1"}, "held by operation o1 since 2026", "  host-1"),
        ({"kind": "operation", "id": "o1", "since": SINCE, "who": None}, "held by operation o1 since 2026", ":00"),
        ({"kind": "client", "id": None, "since": SINCE, "who": None}, "held by client since 2026", ":00"),
    ],
)  # fmt: skip
def test_a_holder_is_named_with_since_when(holder: dict[str, Any], begins: str, ends: str) -> None:
    last = lines(holder)[-1]
    assert last.startswith(begins)
    assert last.endswith(ends)
