# SPDX-License-Identifier: Apache-2.0
"""docs/OPERATIONS.md is printed from the flows and the state tables; this holds it current."""

from __future__ import annotations

from breezeblock.operations.page import page
from breezeblock.operations.registry import FLOWS
from tests.crash.service import CHECKOUT

DOCUMENT = CHECKOUT / "docs" / "OPERATIONS.md"


def test_the_page_of_operations_is_current() -> None:
    assert DOCUMENT.read_text() == page(), "run: python -m breezeblock.operations > docs/OPERATIONS.md"


def test_the_page_names_every_task_of_every_verb() -> None:
    text = page()
    for kind, flow in FLOWS.items():
        section = text.partition(f"### {kind}\n")[2].partition("\n### ")[0]
        assert [name for name in flow.names() if f"| `{name}`" not in section] == []
