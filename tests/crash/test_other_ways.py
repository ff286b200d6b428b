# SPDX-License-Identifier: Apache-2.0
"""The same kills in the other ways that there are: armed by the product's own variable in a service started by its own command, and on the
database servers, where nobody may take a lease back before it has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.api import Api, Gone
from tests.crash.service import CHECKOUT, Launcher, Service
from tests.crash.truth import Truth
from tests.crash.worlds import ground

pytestmark = [pytest.mark.lab, pytest.mark.requires("qemu-img", "qemu-io", "qemu-storage-daemon")]
LEASE = 3


@contextmanager
def commanded(data: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    ready = data.with_name("ready")
    ready.unlink(missing_ok=True)
    words = [sys.executable, "-m", "breezeblock.cli", "serve", "--listen", "127.0.0.1:0"]
    words += ["--data", str(data), "--ready-file", str(ready)]
    with data.with_name("log").open("ab") as log:
        process = subprocess.Popen(words, cwd=CHECKOUT, env=os.environ | environment, stdout=log, stderr=log)
    try:
        limit = time.monotonic() + 40
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < limit, data.with_name("log").read_text()
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_the_variable_of_the_product_kills_at_its_point_and_the_next_start_goes_on() -> None:
    with ground(clones=False) as (folder, _):
        data = folder / "data"
        with commanded(data, {"BREEZEBLOCK_KILL_AT": "volume.create:allocate:done-before:2"}) as process:
            api = Api.of(data)
            api.create_volume("first")
            assert api.finished()["state"] == "succeeded"
            try:
                api.create_volume("second")
            except Gone:
                pass  # it died before it could answer
            assert process.wait(20) == -signal.SIGKILL
            api.close()
        with commanded(data, {}) as process:
            truth = Truth(f"sqlite:///{data / 'breezeblock.sqlite'}", data / "volumes", data)
            truth.settled(20.0)
            api = Api.of(data)
            assert {(v["name"], v["status"]) for v in api.volumes()} == {
                ("first", "available"),
                ("second", "available"),
            }
            api.close()
            process.terminate()
            assert process.wait(20) == 0
            assert truth.problems() == []  # it has ended: its own command line names the folder
            truth.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    [
        "volume.create:allocate:intent-after",
        "file.leaf.placed",
        "volume.create:allocate:done-before",
        "volume.create:publish:change-before",
    ],
)
@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_killed_service_on_a_server_goes_on_when_its_lease_has_ended(
    launcher: Launcher, request: pytest.FixtureRequest, server: str, point: str
) -> None:
    url = request.getfixturevalue(f"{server}_url")
    settings = f'[database]\nurl = "{url}"\n[engine]\nlease_seconds = {LEASE}\nrenew_seconds = 1\n'
    with ground(clones=False) as (folder, volumes):
        service = Service(launcher, folder, volumes, settings=settings)
        service.start()
        truth = Truth(url, volumes, service.data)
        try:
            service.arm(point)
            try:
                service.api.create_volume("v")
            except Gone:
                pass
            assert service.ended(20.0) == -signal.SIGKILL
            service.start()
            truth.settled(10 * LEASE)
            assert truth.problems() == []
            [volume] = service.api.volumes()
            assert volume["status"] == "available"
            service.api.delete_volume(volume["id"])
            assert service.api.finished()["state"] == "succeeded"
            assert truth.problems() == [] and truth.tree().layers == {}
        finally:
            truth.close()
            service.kill()
