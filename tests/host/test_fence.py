# SPDX-License-Identifier: Apache-2.0
"""Fence tokens on disk: who is refused, and what is kept for how long."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from breezeblock.host import fence as fences
from breezeblock.host.fence import Fence
from breezeblock.model.call import Context
from breezeblock.model.errors import Fenced


def test_a_newer_owner_locks_all_older_ones_out_for_good(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fences")
    fence.require("volume-a", Context("one", 5))
    fence.require("volume-a", Context("one", 5))
    fence.require("volume-a", Context("two", 9))
    with pytest.raises(Fenced) as refused:
        Fence(tmp_path / "fences").require("volume-a", Context("one", 5))
    assert refused.value.needed == "fence token 9 or higher"
    fence.require("volume-b", Context("one", 5))


def test_a_caller_without_rivals_is_not_compared(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fences")
    fence.require("volume-a", Context("two", 9))
    fence.require("volume-a", Context())
    with pytest.raises(Fenced):  # nor written down
        fence.require("volume-a", Context("one", 8))


def test_tokens_are_kept_for_a_day_after_their_last_use(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fences")
    fence.sweep()
    for name in ("old", "new"):
        fence.require(name, Context("two", 9))
    long_ago = time.time() - fences.KEPT_SECONDS - 1
    os.utime(tmp_path / "fences" / "old", (long_ago, long_ago))
    fence.sweep()
    fence.require("old", Context("one", 5))
    with pytest.raises(Fenced):
        fence.require("new", Context("one", 5))


def test_a_full_disk_refuses_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    fence = Fence(tmp_path / "fences")
    fence.require("volume-a", Context("one", 5))
    monkeypatch.setattr(fences, "_write", full)
    fence.require("volume-a", Context("two", 9))
    with pytest.raises(Fenced):
        fence.require("volume-a", Context("none", 4))
