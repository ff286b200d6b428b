# SPDX-License-Identifier: Apache-2.0
"""The service under demonstration, as a process of its own: started, killed without mercy, started again on the same port and data, and
asked through the product's own command. Must never reach into the service by any other way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from breezeblock.cli.exits import Ended, failure

#: Seconds. Ready takes a second or two; a graceful stop finishes what runs.
READY, STOP, COMMAND = 20.0, 30.0, 300.0


class Instance:
    """`folder` holds everything: data/, service.log, ready."""

    def __init__(self, folder: Path, data: Path | None = None, listen: str = "127.0.0.1:0") -> None:
        self.folder, self.data, self.listen = folder, data or folder / "data", listen
        self.log = folder / "service.log"
        self._ready = folder / "ready"
        self._process: subprocess.Popen[bytes] | None = None

    # The process ---------------------------------------------------------------------------------

    def start(self) -> float:
        """Seconds until it answered."""
        began = time.monotonic()
        self._ready.unlink(missing_ok=True)
        argv = ["serve", "--data", str(self.data), "--listen", self.listen, "--ready-file", str(self._ready)]
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C reaches the demonstration, which then stops the service in order.
            self._process = subprocess.Popen(
                [*_COMMAND, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        while not self._ready.exists():
            if self._process.poll() is not None:
                raise RuntimeError(
                    f"the service ended with status {self._process.returncode}: {self.last_words()}"
                )
            if time.monotonic() - began > READY:
                raise RuntimeError(f"the service was not ready within {READY:g} s: {self.last_words()}")
            time.sleep(0.01)
        # After a restart it has to be found where its users know it.
        self.listen = self.endpoint.removeprefix("http://")
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL: it gets no chance to do anything at all."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """SIGTERM and patience; SIGKILL when there is no end."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def credentials(self) -> Mapping[str, str]:
        found: Mapping[str, str] = json.loads((self.data / "admin.json").read_text(encoding="utf-8"))
        return found

    @property
    def endpoint(self) -> str:
        return self.credentials["endpoint"].rstrip("/")

    def last_words(self, lines: int = 5) -> str:
        try:
            return (
                " / ".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
                or "it said nothing"
            )
        except OSError:
            return "it wrote no log"

    # The command ---------------------------------------------------------------------------------

    def ask(self, *words: str, timeout: float = COMMAND) -> Any:
        """`breezeblock WORDS --json`: its document. Raises Ended with the command's own reason."""
        done = self.run(*words, "--json", timeout=timeout)
        try:
            document = json.loads(done.stdout)
        except ValueError:
            raise RuntimeError(
                f"breezeblock {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}"
            ) from None
        if done.returncode != 0:
            raise _reason(document.get("error") or {}, done.returncode)
        return document

    def run(self, *words: str, timeout: float = COMMAND) -> subprocess.CompletedProcess[str]:
        """`breezeblock WORDS` as a person would run it."""
        return subprocess.run(
            [*_COMMAND, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**_without_settings(), "BREEZEBLOCK_DATA": str(self.data)},
        )


#: The command of this very installation, wherever PATH points.
_COMMAND = (sys.executable, "-m", "breezeblock.cli")


#: What could lead the command to another service than ours.
_SETTINGS = frozenset(
    {"BREEZEBLOCK_ENDPOINT", "BREEZEBLOCK_TOKEN", "BREEZEBLOCK_PROJECT", "BREEZEBLOCK_DATA"}
)


def _without_settings() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in _SETTINGS}


def _reason(error: Mapping[str, Any], status: int) -> Ended:
    why = failure(error, str(error.get("operation_id") or ""))
    why.status = status
    return why
