# SPDX-License-Identifier: Apache-2.0
"""The fake service for the command's edge cases, and the command itself, run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from breezeblock.cli.main import run
from tests.cli.fake import Fake, serving


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ran]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    with serving() as service:
        monkeypatch.setenv("BREEZEBLOCK_ENDPOINT", service.endpoint)
        monkeypatch.setenv("BREEZEBLOCK_TOKEN", "a-token")
        yield service


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """`breezeblock WORDS`, in this process: its status and what it printed."""

    def call(*words: str) -> Ran:
        capfd.readouterr()
        status = run(words)
        out, err = capfd.readouterr()
        return Ran(status, out, err)

    return call
