# SPDX-License-Identifier: Apache-2.0
"""What every action is given: the service, where to print, and whether to wait. Result on stdout (one JSON document with --json, and
nothing else), everything else on stderr. Must never decide what an action does."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from breezeblock.cli import credentials
from breezeblock.cli.client import Answer, Client
from breezeblock.cli.wait import Progress, for_operation


class Session:
    def __init__(
        self,
        *,
        endpoint: str = "",
        token: str = "",
        project: str = "",
        as_json: bool = False,
        wait: bool = True,
        timeout: float | None = None,
        quiet: bool = False,
    ) -> None:
        self.as_json, self.wait, self.timeout = as_json, wait, timeout
        self.progress = Progress(quiet=quiet or as_json)
        self._asked = (endpoint, token, project)
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """Connected on first use, so that an action without the service needs none."""
        if self._client is None:
            endpoint, token, project = self._asked
            self._client = Client(
                credentials.find(os.environ, endpoint=endpoint, token=token, project=project)
            )
        return self._client

    def show(self, document: Mapping[str, Any], text: str) -> None:
        """The result: the document with --json, else the text."""
        print(json.dumps(document, indent=2, ensure_ascii=False) if self.as_json else text, flush=True)

    def finish(self, answer: Answer) -> Mapping[str, Any] | None:
        """Waits for the operation behind an answer, unless told not to. The operation as last seen; None when there is none."""
        if not answer.operation:
            return None
        if self.wait:
            return for_operation(self.client, answer.operation, self.progress, timeout=self.timeout)
        self.progress.say(f"operation {answer.operation} goes on")
        found: Mapping[str, Any] = self.client.get(f"/breezeblock/operations/{answer.operation}")["operation"]
        return found

    def note(self, text: str) -> None:
        self.progress.say(text)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        sys.stdout.flush()
