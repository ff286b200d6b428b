# SPDX-License-Identifier: Apache-2.0
"""A service of a test: started by the launcher (or by the product's own command), killed, started again on the same data. Owns the process,
its folder and the socket that arms kill points; knows no verb (api.py) and judges nothing (truth.py)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.crash.api import Api

CHECKOUT = Path(__file__).resolve().parents[2]
READY_SECONDS, END_SECONDS = 40.0, 40.0


class Launcher:
    """The process that forks services. One for a test session."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.launcher"],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the launcher has ended"
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


class Service:
    """`folder` (short: sockets live in it) gets data/, service.log, points, control. `volumes` is the backend's folder."""

    def __init__(
        self,
        launcher: Launcher,
        folder: Path,
        volumes: Path | None = None,
        *,
        settings: str = "",
        backend: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._launcher, self.folder = launcher, folder
        self.data, self.volumes = folder / "data", volumes or folder / "volumes"
        self.log, self.points = folder / "service.log", folder / "points"
        self.config = folder / "breezeblock.toml"
        self.environment = dict(environment or {})
        self.config.write_text(
            f'[[backends]]\nname = "local"\nfolder = "{self.volumes}"\n{backend}\n{settings}',
            encoding="utf-8",
        )
        self.pid: int | None = None
        self.starts = 0
        self._api: Api | None = None

    # -- the process -----------------------------------------------------------------------------------------------

    def start(self, arm: str = "", nth: int = 1, faults: Sequence[Mapping[str, Any]] = ()) -> None:
        """Until it answers, or (armed) has died."""
        for stale in ("ready", "control"):
            (self.folder / stale).unlink(missing_ok=True)
        order = {
            "config": str(self.config),
            "data": str(self.data),
            "ready": str(self.folder / "ready"),
            "log": str(self.log),
            "points": str(self.points),
            "control": str(self.folder / "control"),
            "listen": "127.0.0.1:0",
            "arm": arm,
            "nth": nth,
            "environment": self.environment,
            "plan": [dict(fault) for fault in faults],
        }
        self.pid = int(self._launcher.ask({"start": order})["pid"])
        self.starts += 1
        limit = time.monotonic() + READY_SECONDS
        while not (self.folder / "ready").exists():
            if self.ended(0.0) is not None:
                if arm:
                    return
                raise AssertionError(f"the service ended at its start: {self.last_words()}")
            assert time.monotonic() < limit, f"the service is not ready: {self.last_words()}"
            time.sleep(0.005)
        self._forget_api()
        self._api = Api.of(self.data)

    def ended(self, seconds: float) -> int | None:
        """Its exit code (negative: by a signal) when it has ended within so many seconds; None while it runs."""
        if self.pid is None:
            return 0
        status = self._launcher.ask({"wait": self.pid, "seconds": seconds})["status"]
        if status is not None:
            self.pid = None
            self._forget_api()
            return int(status)
        return None

    def kill(self) -> None:
        """SIGKILL: no chance to do anything at all."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            assert self.ended(END_SECONDS) is not None
        self._forget_api()

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGTERM)
        code = self.ended(END_SECONDS)
        assert code is not None, f"the service does not stop: {self.last_words()}"
        self._forget_api()
        return code

    @property
    def api(self) -> Api:
        assert self._api is not None, "the service was not started"
        return self._api

    def _forget_api(self) -> None:
        if self._api is not None:
            self._api.close()
            self._api = None

    def stacks(self) -> str:
        """What every thread does now, for the report of a service that hangs."""
        if self.pid is None:
            return "it has ended"
        os.kill(self.pid, signal.SIGUSR1)
        time.sleep(0.3)
        return self.last_words(200)

    def last_words(self, lines: int = 25) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    # -- what tests put into it ------------------------------------------------------------------------------------

    def tell(self, **order: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(self.folder / "control"))
            with client.makefile("rw") as stream:
                stream.write(json.dumps(order) + "\n")
                stream.flush()
                answer: dict[str, Any] = json.loads(stream.readline())
                return answer

    def arm(self, name: str, nth: int = 1, sent: int = signal.SIGKILL) -> None:
        self.tell(arm=name, nth=nth, signal=int(sent))

    def disarm(self) -> bool:
        """False when the service has just died of what was armed."""
        try:
            self.arm("")
        except (OSError, ValueError):
            assert self.ended(END_SECONDS) is not None
            return False
        return True

    def plan(self, *faults: Mapping[str, Any]) -> None:
        """{"on": driver|target|connector, "verb", "kind", "times", "seconds"}: see drivers/faults.py."""
        self.tell(plan=[dict(fault) for fault in faults])

    @contextlib.contextmanager
    def visited(self) -> Iterator[list[str]]:
        """The points that were reached inside the block, in order; filled when it ends."""
        found: list[str] = []
        begun = self.points.stat().st_size if self.points.exists() else 0
        yield found
        with self.points.open("rb") as record:
            record.seek(begun)
            found += record.read().decode().splitlines()


def occurrences(visited: Sequence[str], most: int = 2) -> list[tuple[str, int]]:
    """(point, nth) for each visit, at most `most` of one name, in the order of the visits."""
    seen: Counter[str] = Counter()
    found = []
    for name in visited:
        seen[name] += 1
        if seen[name] <= most:
            found.append((name, seen[name]))
    return found
