# SPDX-License-Identifier: Apache-2.0
"""How long a start takes, what the service weighs when nobody asks, what it does when idle, and how fast the command is. Must never
measure a request."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.bench import peer, rows
from tests.bench.jobs import Plan, url_of
from tests.bench.service import CORES, Service
from tests.bench.table import Row, median

#: Seconds of doing nothing, over which the idle service is watched.
IDLE = 5.0


def starting(folder: Path, plan: Plan) -> list[Row]:
    """SQLite, as on the first day: an empty folder, then the same again with volumes in it."""
    first, again, idle, resting = [], [], [], []
    for turn in range(plan.rounds):
        service = Service(folder / f"start-{turn}")
        try:
            first.append(service.start())
            rows.fill(url_of(service), service.credentials["project_id"], plan.volumes)
            service.stop()
            again.append(service.start())
            idle.append(service.resident_mib())
            if turn == 0:
                before = service.cpu()
                time.sleep(IDLE)
                resting.append((service.cpu() - before) / IDLE * 1e3)
        finally:
            service.stop()
            shutil.rmtree(service.folder)
    return [
        Row(
            job="start to first answer, new database",
            unit="s",
            measured=median(first),
            peer=peer.FIRST_START_SECONDS,
            target=1.5,
        ),
        Row(
            job="start to first answer, existing database",
            unit="s",
            measured=median(again),
            peer=peer.START_SECONDS,
            target=1.5,
        ),
        Row(
            job="resident memory, idle (peer: all its processes)",
            unit="MiB",
            measured=median(idle),
            peer=peer.RESIDENT_MIB,
            target=120,
        ),
        Row(job="idle: CPU per second", unit="ms", measured=median(resting)),
        Row(
            job="breezeblock --help",
            unit="ms",
            measured=median(_help() for _ in range(plan.rounds * 2 + 1)),
            target=200,
        ),
    ]


def _help() -> float:
    """Milliseconds on a core of its own."""
    began = time.monotonic()
    subprocess.run(
        ["taskset", "-c", str(CORES[0]), sys.executable, "-m", "breezeblock.cli", "--help"],
        stdout=subprocess.DEVNULL, timeout=60, check=True,
    )  # fmt: skip
    return (time.monotonic() - began) * 1e3
