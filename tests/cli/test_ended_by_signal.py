# SPDX-License-Identifier: Apache-2.0
"""A terminal that is closed, or a SIGTERM, ends a command as Ctrl-C does: what it had taken is given back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from breezeblock.cli.exits import OK
from breezeblock.cli.main import run
from tests.cli.fake import Asked, Fake, Reply, operation, volume

VOLUME, ATTACHMENT = volume()["id"], "cccccccc-0000-4000-8000-000000000001"


@pytest.mark.requires("qemu-img")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_import_that_is_ended_gives_its_attachment_and_volume_back(
    fake: Fake, tmp_path: Path, sent: signal.Signals
) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def held(asked: Asked) -> Reply:
        reached.set()
        go_on.wait(20)
        return Reply(204)

    done = Reply(200, {"operation": operation("succeeded")})
    made = Reply(202, {"volume": volume()}, {"X-Breezeblock-Operation": operation()["id"]})
    fake.on("POST", "/v3/volumes", made)
    fake.on("GET", f"/v3/breezeblock/operations/{operation()['id']}", done)
    fake.on("DELETE", f"/v3/volumes/{VOLUME}", Reply(202))
    fake.on("POST", "/v3/attachments", Reply(200, {"attachment": {"id": ATTACHMENT}}))
    fake.on("POST", f"/v3/attachments/{ATTACHMENT}/action", held)
    fake.on("DELETE", f"/v3/attachments/{ATTACHMENT}", Reply(200, {"attachments": []}))
    (tmp_path / "image.raw").write_bytes(b"1" * 512)
    process = subprocess.Popen(
        [sys.executable, "-m", "breezeblock.cli", "volume", "import", str(tmp_path / "image.raw")],
        env=dict(os.environ),
    )
    try:
        assert reached.wait(20)
        process.send_signal(sent)
        assert process.wait(20) == (130 if sent is signal.SIGINT else 128 + sent)
    finally:
        go_on.set()
        process.kill()
    asked = [f"{one.method} {one.path}" for one in fake.asked]
    assert asked[-2:] == [f"DELETE /v3/attachments/{ATTACHMENT}", f"DELETE /v3/volumes/{VOLUME}"]


def test_what_was_ignored_stays_ignored_and_what_was_changed_is_as_before() -> None:
    seen: list[object] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run(["--version"]) == OK
        seen.append(signal.getsignal(signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert run(["--version"]) == OK
    assert seen == [signal.SIG_IGN]
    assert signal.getsignal(signal.SIGHUP) is before
