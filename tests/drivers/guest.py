# SPDX-License-Identifier: Apache-2.0
"""A Live port without an exporter: what it has open is written down in a file, so that it outlives the driver's process as a real
exporter does. Its writes go through QEMU into whatever it believes to be the active file."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from breezeblock.host import qcow2
from breezeblock.model.reach import FileReach
from tests.conformance import content


class Guest:
    """Satisfies model.reach.Live. Refuses what a real exporter would refuse."""

    def __init__(self, memory: Path, opened: str | None = None) -> None:
        self._memory = memory
        if opened is not None:
            memory.write_text(opened)

    def active(self) -> str:
        return self._memory.read_text()

    def snapshot(self, overlay: str) -> None:
        if self.active() == overlay:
            return
        below = qcow2.read_header(Path(overlay)).backing_file
        assert below is not None
        assert Path(overlay).parent / below == Path(self.active()), "an overlay must stand on what is written"
        self._memory.write_text(overlay)

    def resize(self, size: int) -> None:
        subprocess.run(
            ["qemu-img", "resize", "-q", "-f", self._format, self.active(), str(size)], check=True, timeout=60
        )

    def fold(self, base: str | None) -> None:
        below = ["-b", base, "-F", base.rpartition(".")[2]] if base else ["-b", ""]
        subprocess.run(
            ["qemu-img", "rebase", "-q", "-f", "qcow2", *below, self.active()], check=True, timeout=60
        )

    @property
    def _format(self) -> str:
        return self.active().rpartition(".")[2]

    def write(self, slots: Mapping[int, int]) -> None:
        content.write(FileReach(self.active(), self._format), slots)
