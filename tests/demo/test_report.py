# SPDX-License-Identifier: Apache-2.0
"""The report goes to a terminal, and terminals are closed."""

from __future__ import annotations

import contextlib
import os
import pty

from breezeblock.demo.report import Report


def test_a_terminal_that_was_closed_does_not_end_the_demonstration() -> None:
    ours, theirs = pty.openpty()
    stream = os.fdopen(theirs, "w")
    report = Report(stream)
    report.say("seen")
    assert b"seen" in os.read(ours, 100)
    os.close(ours)
    report.begin("a step")
    report.done(1, "done")
    report.table()
    assert [line.step for line in report.lines] == ["a step"]
    with contextlib.suppress(OSError):  # what was not written is still in its buffer
        stream.close()
