# SPDX-License-Identifier: Apache-2.0
"""Two services on one PostgreSQL database and one storage folder: one is stopped (SIGSTOP) in the middle of its work, the other takes the
work over when the lease has ended, and the first, continued, finds itself fenced: it exits and changes nothing. Embedded, a data folder
has one service and a second is refused."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash import content
from tests.crash.api import Gone
from tests.crash.service import CHECKOUT, Launcher, Service
from tests.crash.truth import Truth
from tests.crash.worlds import ground

#: Seconds. Short, so that a take-over does not take long; renewals are a third of it.
LEASE = 3
GAVE_UP = 70

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.requires("qemu-img", "qemu-io")]


class Pair:
    """`first` runs; `second` shares database and storage and is started when it is needed."""

    def __init__(self, launcher: Launcher, folder: Path, volumes: Path, url: str) -> None:
        settings = f'[database]\nurl = "{url}"\n[engine]\nlease_seconds = {LEASE}\nrenew_seconds = 1\n'
        places = [folder / "a", folder / "b"]
        for place in places:
            place.mkdir()
        self.first, self.second = (
            Service(launcher, place, volumes, settings=settings, backend='target = "nbd"') for place in places
        )
        self.first.start()
        self.second.data.mkdir(mode=0o700)
        for name in ("backends.json", "admin.json"):  # one backend and one administrator for both
            shutil.copy(self.first.data / name, self.second.data / name)
        self.truth = Truth(url, volumes, self.first.data)

    def close(self) -> None:
        self.truth.close()
        for service in (self.first, self.second):
            if service.pid is not None:
                os.kill(service.pid, signal.SIGCONT)
                service.kill()


@pytest.fixture
def pair(launcher: Launcher, postgresql_url: str) -> Iterator[Pair]:
    with ground(clones=False) as (folder, volumes), contextlib.ExitStack() as stack:
        made = Pair(launcher, folder, volumes, postgresql_url)
        stack.callback(made.close)
        yield made
        for service in (made.first, made.second):
            print(service.last_words())  # shown when the test fails


def stopped(service: Service, seconds: float = 20.0) -> bool:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        state = Path(f"/proc/{service.pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
        if state == b"T":
            return True
        time.sleep(0.01)
    return False


def stop_in(service: Service, point: str, act: Callable[[], object]) -> None:
    """Do it; the service stops at the point, in the middle of the work and possibly before it has answered."""
    service.arm(point, sent=signal.SIGSTOP)
    service.api.patience(3.0)
    with contextlib.suppress(Gone):
        act()
    assert stopped(service), f"{point} was not reached"


def must_be_fenced(pair: Pair) -> None:
    """The first goes on where it was stopped. It exits, or (it noticed in its first step that the work is not its own any more, and holds
    nothing else) stays and serves; either way everything stays as the second left it."""
    before = (pair.truth.rows(), pair.truth.tree())
    assert pair.first.pid is not None
    os.kill(pair.first.pid, signal.SIGCONT)
    code = pair.first.ended(LEASE + 2.0)
    assert code in (GAVE_UP, None), pair.first.last_words()
    if code is None:
        assert pair.first.api.volume_ids() == pair.second.api.volume_ids()
    after = (pair.truth.rows(), pair.truth.tree())
    assert after[1] == before[1]
    assert {id: row.version for id, row in after[0].volumes.items()} == {
        id: row.version for id, row in before[0].volumes.items()
    }
    assert pair.truth.problems() == []


FREE = [
    "volume.create:allocate:intent-after",
    "volume.create:allocate:done-before",
    "volume.create:publish:change-before",
    "volume.create:allocate:intent-before",
]


@pytest.mark.parametrize("point", FREE)
def test_a_stopped_owner_of_a_create_is_taken_over_and_fenced(pair: Pair, point: str) -> None:
    stop_in(pair.first, point, lambda: pair.first.api.create_volume("v"))
    pair.second.start()
    pair.truth.settled(10 * LEASE)
    [volume] = pair.second.api.volumes()
    assert (volume["name"], volume["status"]) == ("v", "available")
    must_be_fenced(pair)
    content.write(content.layer_of(pair.second.volumes, f"volume-{volume['id']}"), 7)


@pytest.mark.parametrize("point", ["snapshot.create:take:intent-after", "snapshot.create:take:done-before"])
def test_a_stopped_owner_of_a_snapshot_is_taken_over_and_fenced(pair: Pair, point: str) -> None:
    api = pair.first.api
    id = api.create_volume("v")["id"]
    assert api.finished()["state"] == "succeeded"
    layer = content.layer_of(pair.first.volumes, f"volume-{id}")
    content.write(layer, 9)
    stop_in(pair.first, point, lambda: api.create_snapshot(id, "s"))
    pair.second.start()
    pair.truth.settled(10 * LEASE)
    [snapshot] = pair.second.api.snapshots()
    assert snapshot["status"] == "available"
    # the volume goes on before the late owner comes back: nothing of it may reach the snapshot
    content.write(content.layer_of(pair.second.volumes, f"volume-{id}"), 11)
    must_be_fenced(pair)
    assert content.holds(content.layer_of(pair.second.volumes, f"snapshot-{snapshot['id']}"), 9)
    assert content.holds(content.layer_of(pair.second.volumes, f"volume-{id}"), 11)


def test_a_late_create_does_not_bring_a_deleted_volume_back(pair: Pair) -> None:
    """The second finishes the create, then deletes the volume; only then the first goes on with its create."""
    stop_in(pair.first, "volume.create:allocate:intent-after", lambda: pair.first.api.create_volume("v"))
    pair.second.start()
    pair.truth.settled(10 * LEASE)
    [volume] = pair.second.api.volumes()
    pair.second.api.delete_volume(volume["id"])
    assert pair.second.api.finished()["state"] == "succeeded"
    must_be_fenced(pair)
    assert pair.truth.tree().names == {} and pair.truth.tree().layers == {}


@pytest.mark.parametrize("point", ["file.create.drafted", "file.leaf.placed", "file.leaf.named"])
def test_an_owner_stopped_inside_the_object_s_lock_is_waited_for(pair: Pair, point: str) -> None:
    """Nobody works on the object while a stopped process holds its lock; when it goes on, one of the two has made it, once."""
    stop_in(pair.first, point, lambda: pair.first.api.create_volume("v"))
    pair.second.start()
    time.sleep(2 * LEASE)  # time enough for the second to have taken the operation over
    assert pair.truth.rows().unfinished
    assert pair.first.pid is not None
    os.kill(pair.first.pid, signal.SIGCONT)
    pair.truth.settled(10 * LEASE)
    [volume] = pair.second.api.volumes()
    assert volume["status"] == "available"
    must_be_fenced(pair)


def test_an_owner_whose_lease_ended_while_nobody_took_over_goes_on_or_exits(pair: Pair) -> None:
    """Stopped for longer than its lease with no other service there: the work ends all the same, by it or after its restart."""
    stop_in(pair.first, "volume.create:allocate:intent-after", lambda: pair.first.api.create_volume("v"))
    time.sleep(LEASE + 1)
    assert pair.first.pid is not None
    os.kill(pair.first.pid, signal.SIGCONT)
    if pair.first.ended(2 * LEASE) is not None:
        pair.first.start()
    pair.truth.settled(10 * LEASE)
    [volume] = pair.first.api.volumes()
    assert volume["status"] == "available"
    assert pair.truth.problems() == []


def test_a_second_service_on_the_same_data_folder_is_refused_with_a_clear_sentence(
    launcher: Launcher,
) -> None:
    with ground(clones=False) as (folder, volumes):
        service = Service(launcher, folder, volumes)
        service.start()
        try:
            command = [sys.executable, "-m", "breezeblock.cli", "serve", "--listen", "127.0.0.1:0"]
            done = subprocess.run(
                [*command, "--data", str(service.data)],
                capture_output=True,
                text=True,
                timeout=30,
                cwd=CHECKOUT,
            )
            assert done.returncode == 1
            [said] = [line for line in done.stderr.splitlines() if line.startswith("breezeblock:")]
            assert "is in use" in said and f"pid {service.pid}" in said and "--data" in said
            assert service.api.volumes() == []
        finally:
            service.kill()
