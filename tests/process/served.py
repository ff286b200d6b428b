# SPDX-License-Identifier: Apache-2.0
"""A real service as a child process: started, asked, ended, and looked at from outside."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

READY_SECONDS = 30.0


class Served:
    """`data` is its folder."""

    def __init__(self, data: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        self.data, self.ready = data, data.parent / f"{data.name}.ready"
        self.ready.unlink(missing_ok=True)
        self.log = data.parent / f"{data.name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "breezeblock.cli", "serve", "--listen", "127.0.0.1:0"),
                    *("--data", str(data), "--ready-file", str(self.ready), *arguments),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
            )
        try:
            self._until_ready()
        except BaseException:
            self.process.kill()
            self.process.wait(10)
            raise

    def _until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not (self.ready.exists() and self.ready.read_text().strip()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"not ready: {self.log.read_text()}")
            time.sleep(0.005)
        self.credentials = json.loads((self.data / "admin.json").read_text())
        status, _ = self.ask("GET", "/v3/volumes")
        assert status == 200

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, Any]:
        endpoint = urlsplit(self.credentials["endpoint"])
        connection = http.client.HTTPConnection(endpoint.hostname or "", endpoint.port, timeout=60)
        try:
            connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body),
                headers={
                    "X-Auth-Token": self.credentials["token"] if token is None else token,
                    "Content-Type": "application/json",
                    "OpenStack-API-Version": "volume 3.71",
                },
            )
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            connection.close()

    def until(self, path: str, noun: str, status: str, seconds: float = 30.0) -> dict[str, Any]:
        """Ask until the resource has a status."""
        deadline = time.monotonic() + seconds
        while True:
            code, found = self.ask("GET", path)
            if code == 200 and found[noun]["status"] == status:
                return dict(found[noun])
            assert time.monotonic() < deadline, (code, found)
            time.sleep(0.02)

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        spent = psutil.Process(self.process.pid).cpu_times()
        return float(spent.user + spent.system)

    def resident(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def end(self, sent: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sent)
        return self.process.wait(30)


@contextmanager
def served(data: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> Iterator[Served]:
    service = Served(data, *arguments, environ=environ)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.end()
