# SPDX-License-Identifier: Apache-2.0
"""The live report: a line per step while it runs, and the table at the end. Only prints."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import NamedTuple, TextIO

from breezeblock.cli import render


class Line(NamedTuple):
    """One row of the table. `moved`: bytes written or verified in the step."""

    step: str
    seconds: float
    moved: int
    note: str


class Report:
    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stdout if stream is None else stream
        self.lines: list[Line] = []
        self._live, self._heard = self.stream.isatty(), True
        self._step, self._began = "", 0.0

    def begin(self, step: str) -> None:
        self._step, self._began = step, time.monotonic()
        if self._live:
            self._write(f"\r  … {step}")
        # In a pipe the line comes once, when the step is over.

    def detail(self, text: str) -> None:
        """What goes on inside a step; a terminal shows the latest."""
        if self._live:
            self._write(f"\r  … {self._step}: {text}\033[K")

    def done(self, moved: int, note: str) -> None:
        line = Line(self._step, time.monotonic() - self._began, moved, note)
        self.lines.append(line)
        self._write(
            ("\r" if self._live else "") + f"  ✓ {self._shape(line)}" + ("\033[K\n" if self._live else "\n")
        )

    def failed(self, why: str) -> None:
        seconds = time.monotonic() - self._began
        self._write(
            ("\r" if self._live else "") + f"  ✗ {self._step} ({render.seconds(seconds)})\n    {why}\n"
        )

    def say(self, text: str = "") -> None:
        self._write(text + "\n")

    def table(self) -> None:
        rows: list[Sequence[object]] = [
            [line.step, f"{line.seconds:.2f}", render.size(line.moved) if line.moved else "", line.note]
            for line in self.lines
        ]
        total, moved = sum(line.seconds for line in self.lines), sum(line.moved for line in self.lines)
        rows.append(["total", f"{total:.2f}", render.size(moved), ""])
        self.say()
        self.say(
            render.table(["STEP", "SECONDS", "BYTES", "WHAT WAS SEEN"], rows, numbers=["SECONDS", "BYTES"])
        )

    def _shape(self, line: Line) -> str:
        moved = render.size(line.moved) if line.moved else ""
        return f"{line.step:<44} {line.seconds:7.2f} s  {moved:>10}  {line.note}".rstrip()

    def _write(self, text: str) -> None:
        # A stdout that cannot encode a tick must not end the demonstration.
        encoding = self.stream.encoding or "utf-8"
        if not self._heard:
            return
        try:
            self.stream.write(text.encode(encoding, "replace").decode(encoding))
            self.stream.flush()
        except OSError:
            # The terminal was closed, or the reader of the pipe has gone: nobody to tell, and the tidying comes first.
            self._heard = False
