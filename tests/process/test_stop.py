# SPDX-License-Identifier: Apache-2.0
"""A service that is told to stop while something does not listen: it ends in time, and gives no lease away that is still worked under."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

_PROGRAM = """
import sys, threading, time
from pathlib import Path
from breezeblock.drivers.file.layers import Layers
from breezeblock.flow.engine import Engine
from breezeblock.process.serve import run

def deaf(self, name, size, ctx):
    Path(sys.argv[2]).touch()
    time.sleep(600)

Layers.create = deaf
stop = Engine.stop
Engine.stop = lambda self, grace_seconds=20.0: stop(self, 0.5)
sys.exit(run(config=None, listen="127.0.0.1:0", data=sys.argv[1], ready_file=sys.argv[3]))
"""


@pytest.mark.slow
def test_it_ends_although_an_effect_does_not_and_keeps_its_lease(tmp_path: Path) -> None:
    data, begun, ready = tmp_path / "data", tmp_path / "begun", tmp_path / "ready"
    argv = [sys.executable, "-c", _PROGRAM, str(data), str(begun), str(ready)]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as service:
        try:
            _await(ready, service)
            create = ["volume", "create", "one", "1", "--no-wait"]
            command = [sys.executable, "-m", "breezeblock.cli", *create]
            subprocess.run(
                command, env={"BREEZEBLOCK_DATA": str(data), "PATH": "/usr/bin:/bin"}, timeout=30, check=True
            )
            _await(begun, service)
            service.send_signal(signal.SIGTERM)
            assert service.wait(timeout=20) == 0
        finally:
            service.kill()
    file = next(data.glob("*.sqlite*"))
    with sqlite3.connect(file) as database:
        (owner,) = database.execute("SELECT lease_owner FROM operations").fetchone()
    assert owner is not None


def _await(path: Path, service: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert service.poll() is None, "the service has ended"
        assert time.monotonic() < deadline, f"{path} does not appear"
        time.sleep(0.02)
