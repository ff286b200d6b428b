# SPDX-License-Identifier: Apache-2.0
"""The services that crash tests kill: one launcher a session, one world a kind of backend, and at the end the table of what was killed
where."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.crash.kill_points import TALLY
from tests.crash.service import Launcher
from tests.crash.world import World
from tests.crash.worlds import Worlds


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    made = Launcher()
    yield made
    made.close()


@pytest.fixture(scope="session")
def worlds(launcher: Launcher) -> Iterator[Worlds]:
    made = Worlds(launcher)
    yield made
    made.close()


@pytest.fixture
def world(worlds: Worlds, backend: str, requires: Callable[..., None]) -> Iterator[World]:
    """A world in order; a test that fails in it gets its successor a new one. `backend` is a parameter of the test."""
    requires("root", "loop", "fuse", "qemu-img", "qemu-io", "qemu-storage-daemon", "nbdfuse")
    if backend == "clones":
        requires("mkfs.xfs")
    found = worlds.get(backend)
    sound = False
    try:
        yield found
        sound = found.service.pid is not None and not found.api.volumes()
    finally:
        if not sound:
            worlds.renew(backend)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TALLY.visited:
        terminalreporter.section("kill points")
        for line in TALLY.table():
            terminalreporter.write_line(line)
