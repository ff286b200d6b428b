# SPDX-License-Identifier: Apache-2.0
"""A service of its own for each test of what can go wrong around it, with its truth; and at the end the proof that nothing is left."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.crash.conftest import launcher
from tests.crash.service import Launcher, Service
from tests.crash.world import World
from tests.crash.worlds import ground

__all__ = ["launcher", "serve"]

Serve = Callable[..., AbstractContextManager[World]]


@pytest.fixture
def serve(launcher: Launcher) -> Serve:
    """serve(volumes=None, data=None, backend="", settings="", environment=None, clones=False): a running service, ended with the block."""

    @contextlib.contextmanager
    def started(
        volumes: Path | None = None, *, data: Path | None = None, clones: bool = False, **more: Any
    ) -> Iterator[World]:
        with ground(clones) as (folder, own), contextlib.ExitStack() as stack:
            service = Service(launcher, folder, volumes or own, **more)
            if data is not None:
                service.data = data
            world = World(service)
            stack.callback(world.close)
            try:
                yield world
            finally:
                print(service.last_words(40))  # shown when the test fails

    return started


def fault_of(world: World, id: str) -> dict[str, Any]:
    """Why the newest operation of a volume or snapshot failed; it has to name a remedy."""
    found = [one for one in world.api.operations(resource_id=id) if one["state"] in ("failed", "cancelled")]
    assert found, world.api.operations(resource_id=id)
    error: dict[str, Any] = found[0]["error"]
    assert error["remedy"] and error["message"], error
    return error
