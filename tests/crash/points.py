# SPDX-License-Identifier: Apache-2.0
"""Kill points inside a service under test: every visit is written down (one line, before anything else happens, so that it survives the
kill), and the armed one ends or stops the process. Takes the place of `host.killpoint.reach` in the launcher; never part of the product."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

#: An armed name that fits every point: with `nth` it means "the nth point from now on, whatever it is".
ANY = "*"


class Points:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._record = -1
        self._armed, self._left, self._sent = "", 0, signal.SIGKILL

    def keep(self, record: Path) -> None:
        """Where visits are written."""
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def arm(self, name: str, nth: int = 1, sent: int = signal.SIGKILL) -> None:
        """From now on the nth visit of `name` is the last thing this process does ("" disarms)."""
        with self._lock:
            self._armed, self._left, self._sent = name, nth, signal.Signals(sent)

    def reach(self, name: str) -> None:
        with self._lock:
            if self._record >= 0:
                os.write(self._record, f"{name}\n".encode())
            if self._armed not in (name, ANY):
                return
            self._left -= 1
            if self._left == 0:
                self._armed = ""
                # to this thread: a stop of the process would let it run on for a moment
                signal.pthread_kill(threading.get_ident(), self._sent)


POINTS = Points()
