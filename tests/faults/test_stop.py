# SPDX-License-Identifier: Apache-2.0
"""SIGTERM while operations run: what runs ends or is parked, what waits is left for the next start, attached disks stay, and the service
ends with 0; the next start finishes everything."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.crash import content
from tests.crash.api import Gone, Refused
from tests.faults.conftest import Serve

pytestmark = [
    pytest.mark.lab,
    pytest.mark.requires("root", "loop", "fuse", "qemu-img", "qemu-io", "qemu-storage-daemon", "nbdfuse"),
]


def test_a_stop_parks_what_runs_and_the_next_start_goes_on(serve: Serve) -> None:
    with serve() as world:
        tag = world.tag()
        attached = world.volume(tag)
        device = world.attach(attached)
        world.service.plan({"on": "driver", "verb": "create", "kind": "delay", "times": 12, "seconds": 0.7})
        made = {world.api.create_volume(f"v{n}")["id"] for n in range(12)}
        time.sleep(0.3)
        begun = time.monotonic()
        assert world.service.stop() == 0, world.service.last_words()
        assert time.monotonic() - begun < 15
        assert content.device_holds(device, tag)
        rows = world.truth.rows()
        assert rows.unfinished, "everything had ended before the stop"
        world.recover()
        world.truth.settled(30.0)
        assert {one["id"] for one in world.api.volumes() if one["status"] == "available"} == made
        assert world.truth.problems() == []
        world.clear()


def test_new_work_is_refused_while_the_service_stops(serve: Serve) -> None:
    with serve() as world:
        world.service.plan({"on": "driver", "verb": "create", "kind": "delay", "seconds": 2.0})
        first = world.api.create_volume("v")["id"]
        time.sleep(0.3)
        assert world.service.pid is not None
        os.kill(world.service.pid, signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises((Refused, Gone)) as refused:  # Gone: it had stopped listening
            world.api.create_volume("late")
        assert getattr(refused.value, "status", 503) == 503
        assert world.service.ended(20.0) == 0
        world.recover()
        world.truth.settled(30.0)
        assert world.api.volume_ids() == {first}
        world.clear()
