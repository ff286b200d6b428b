# SPDX-License-Identifier: Apache-2.0
"""Random lives of volumes against the model of model/status.py, kills included. CI repeats one life; by hand each run lives another, with
the seed printed: BREEZEBLOCK_TEST_SEED=N repeats it, BREEZEBLOCK_TEST_LIVES=N lives more of them, and BREEZEBLOCK_TEST_SHRINK=1 looks for
the shortest life that fails."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.crash.world import World
from tests.stateful.machine import Machine

CI = os.environ.get("CI") == "true"
LIVES = int(os.environ.get("BREEZEBLOCK_TEST_LIVES", "24"))
STEPS = 25


@pytest.mark.slow
@pytest.mark.lab
@pytest.mark.requires("root", "loop", "fuse", "qemu-io", "qemu-storage-daemon", "nbdfuse", "mkfs.xfs")
@pytest.mark.parametrize("backend", ["overlays", "clones"])
def test_random_lives_end_as_the_model_says(backend: str, world: World) -> None:
    chosen = int(os.environ.get("BREEZEBLOCK_TEST_SEED") or (1 if CI else random.randrange(1 << 32)))
    print(f"BREEZEBLOCK_TEST_SEED={chosen}")
    phases = [Phase.generate] + ([Phase.shrink] if os.environ.get("BREEZEBLOCK_TEST_SHRINK") else [])

    told: Counter[str] = Counter()

    @seed(chosen)
    class Life(Machine):
        def __init__(self) -> None:
            super().__init__(world, backend == "clones", told)

    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=LIVES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(", ".join(f"{what} {times}" for what, times in sorted(told.items())))
    assert sum(times for what, times in told.items() if what.endswith("killed")) >= LIVES
