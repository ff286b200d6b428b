# SPDX-License-Identifier: Apache-2.0
"""One real service and the real clients, for the whole run; a volume for a test that needs one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from breezeblock.demo.instance import Instance
from tests.compat.clients import Clients, must_become
from tests.lab.presence import missing

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    for wanted in ("clients", "qemu-img", "qemu-storage-daemon"):
        if reason := missing(wanted):
            pytest.skip(reason)
    folder: Path = tmp_path_factory.mktemp("compat")
    instance = Instance(folder)
    instance.start()
    yield instance
    instance.stop()


@pytest.fixture(scope="session")
def clients(service: Instance) -> Iterator[Clients]:
    found = Clients(service.credentials)
    yield found
    found.close()


@pytest.fixture
def name() -> str:
    return f"thing-{next(_NUMBERS)}"


@pytest.fixture
def volume(clients: Clients, name: str) -> Iterator[str]:
    """The id of an available volume of 1 GiB; gone afterwards, whatever the test did to it."""
    ident = clients.sdk("create_volume", name=name, size=1)["id"]
    must_become(lambda: status(clients, ident), "available")
    yield ident
    clients.cinder("reset-state", "--state", "available", "--attach-status", "detached", ident, ok=False)
    clients.cinder("delete", "--cascade", ident, ok=False)
    must_be_gone(lambda: status(clients, ident))


def status(clients: Clients, ident: str) -> str | None:
    """None: there is none."""
    found: list[dict[str, str]] = clients.sdk("volumes", details=True)
    return next((item["status"] for item in found if item["id"] == ident), None)


def snapshot_status(clients: Clients, ident: str) -> str | None:
    found: list[dict[str, str]] = clients.sdk("snapshots", details=True)
    return next((item["status"] for item in found if item["id"] == ident), None)


def must_be_gone(look: Callable[[], str | None]) -> None:
    must_become(look, None)
