# SPDX-License-Identifier: Apache-2.0
"""How the steps are run and told: a table of what was done, a reason for what was not, and tidiness in both cases."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from breezeblock.cli.exits import refused
from breezeblock.demo.life import Done, Life
from breezeblock.demo.report import Report
from breezeblock.demo.steps import STEPS


@pytest.fixture
def life() -> Iterator[Life]:
    found = Life(Report(io.StringIO()), data=None, listen="127.0.0.1:0")
    yield found
    assert found.tidy(keep=False) == []
    assert not found.folder.exists()


def text(life: Life) -> str:
    assert isinstance(life.report.stream, io.StringIO)
    return life.report.stream.getvalue()


def test_the_table_sums_seconds_and_bytes(life: Life) -> None:
    assert life.run([("one", lambda _: Done(1 << 20, "seen")), ("two", lambda _: Done(3 << 20))])
    life.report.table()
    total = text(life).splitlines()[-1]
    assert total.startswith("total")
    assert "4 MiB" in total
    assert "seen" in text(life)


def test_the_first_failure_ends_the_run_with_its_reason(life: Life) -> None:
    def fail(_: Life) -> Done:
        raise refused("the disk is full", needed="2 GiB", had="1 GiB", remedy="Free space.")

    later: list[str] = []

    def after(_: Life) -> Done:
        later.append("ran")
        return Done()

    assert not life.run([("fill", fail), ("later", after)])
    assert later == []
    assert "✗ fill" in text(life)
    assert "the disk is full; needed 2 GiB; there was 1 GiB. Free space." in text(life)


def test_a_service_that_cannot_start_is_told_with_its_last_words(life: Life) -> None:
    life.instance.listen = "203.0.113.1:1"
    assert not life.run(STEPS)
    assert "✗ start the service" in text(life)
    assert "the service ended with status" in text(life)


def test_a_terminal_sees_the_step_while_it_runs() -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    report = Report(stream)
    report.begin("copy")
    assert "… copy" in stream.getvalue()
    report.detail("half")
    report.done(5, "whole")
    assert "✓ copy" in stream.getvalue()


def test_the_steps_are_those_that_were_promised() -> None:
    titles = " / ".join(title for title, _ in STEPS)
    for word in (
        "start",
        "create",
        "attach",
        "write",
        "checksum",
        "snapshot",
        "change",
        "volume from",
        "clone",
        "extend",
    ):
        assert word in titles
    for word in ("kill -9", "detach", "delete"):
        assert word in titles
