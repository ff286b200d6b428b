# SPDX-License-Identifier: Apache-2.0
"""The verbs of the Block Storage API as a test's client speaks them: plain HTTP, the newest microversion. An answer that never came because
the service died is Gone; whatever the service refuses is Refused with its fault. Must never retry or wait by itself."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx

HOST = socket.gethostname()
CONNECTOR = {"host": HOST, "ip": "127.0.0.1", "os_type": "linux", "platform": "x86_64", "multipath": False}


class Gone(Exception):
    """The service died (or its socket did) before it answered: the request may have been accepted or not."""


class Refused(Exception):
    def __init__(self, status: int, fault: dict[str, Any]) -> None:
        super().__init__(f"{status}: {fault}")
        self.status, self.fault = status, fault


class Api:
    def __init__(self, endpoint: str, token: str, project_id: str) -> None:
        self._client = httpx.Client(
            base_url=f"{endpoint}/v3/{project_id}",
            headers={"X-Auth-Token": token, "OpenStack-API-Version": "volume 3.71"},
            timeout=70,
            trust_env=False,
        )
        #: the operation behind the last request that started one.
        self.operation: str | None = None

    @classmethod
    def of(cls, data: Path) -> Api:
        """By the credentials file of a data folder."""
        known = json.loads((data / "admin.json").read_bytes())
        return cls(known["endpoint"], known["token"], known["project_id"])

    def close(self) -> None:
        self._client.close()

    def patience(self, seconds: float) -> None:
        """How long to wait for an answer before the service counts as gone."""
        self._client.timeout = seconds

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        try:
            answer = self._client.request(method, path, json=body, params=query)
        except httpx.TransportError as error:
            raise Gone(str(error)) from error
        if answer.status_code >= 400:
            try:
                fault = next(iter(answer.json().values()))
            except ValueError:
                fault = {"message": answer.text}
            raise Refused(answer.status_code, fault)
        self.operation = answer.headers.get("X-Breezeblock-Operation", self.operation)
        return answer.json() if answer.content else None

    def action(self, noun: str, id: str, name: str, **body: Any) -> Any:
        return self.call("POST", f"/{noun}/{id}/action", {name: body or None})

    # -- volumes and snapshots -------------------------------------------------------------------------------------

    def create_volume(self, name: str, size: int | None = 1, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.call(
            "POST", "/volumes", {"volume": {"name": name, "size": size, **more}}
        )
        return found["volume"]

    def volumes(self) -> list[dict[str, Any]]:
        return self.call("GET", "/volumes/detail")["volumes"]

    def volume_ids(self) -> set[str]:
        return {str(one["id"]) for one in self.volumes()}

    def volume(self, id: str) -> dict[str, Any]:
        return self.call("GET", f"/volumes/{id}")["volume"]

    def delete_volume(self, id: str, *, cascade: bool = False) -> None:
        self.call("DELETE", f"/volumes/{id}", **({"cascade": "true"} if cascade else {}))

    def create_snapshot(self, volume_id: str, name: str) -> dict[str, Any]:
        body = {"snapshot": {"volume_id": volume_id, "name": name}}
        return self.call("POST", "/snapshots", body)["snapshot"]

    def snapshots(self) -> list[dict[str, Any]]:
        return self.call("GET", "/snapshots/detail")["snapshots"]

    def snapshot(self, id: str) -> dict[str, Any]:
        return self.call("GET", f"/snapshots/{id}")["snapshot"]

    def delete_snapshot(self, id: str) -> None:
        self.call("DELETE", f"/snapshots/{id}")

    def extend(self, id: str, size: int) -> None:
        self.action("volumes", id, "os-extend", new_size=size)

    def revert(self, id: str, snapshot_id: str) -> None:
        self.action("volumes", id, "revert", snapshot_id=snapshot_id)

    # -- connections -----------------------------------------------------------------------------------------------

    def create_attachment(self, volume_id: str, connector: dict[str, Any] | None = None) -> dict[str, Any]:
        body: dict[str, Any] = {"volume_uuid": volume_id}
        if connector is not None:
            body["connector"] = connector
        return self.call("POST", "/attachments", {"attachment": body})["attachment"]

    def connect_attachment(self, id: str) -> dict[str, Any]:
        body = {"attachment": {"connector": CONNECTOR}}
        return self.call("PUT", f"/attachments/{id}", body)["attachment"]

    def complete_attachment(self, id: str) -> None:
        self.action("attachments", id, "os-complete")

    def delete_attachment(self, id: str) -> None:
        self.call("DELETE", f"/attachments/{id}")

    def attachments(self) -> list[dict[str, Any]]:
        return self.call("GET", "/attachments/detail")["attachments"]

    def attach(self, volume_id: str) -> str:
        """The attachment's id."""
        return str(self.call("POST", "/breezeblock/attach", {"volume_id": volume_id})["attachment"]["id"])

    def detach(self, volume_id: str, *, force: bool = False) -> None:
        self.call("POST", "/breezeblock/detach", {"volume_id": volume_id, "force": force})

    def device(self, attachment_id: str) -> str:
        """The path on this host."""
        return str(self.call("GET", f"/breezeblock/attachments/{attachment_id}")["attachment"]["device"])

    # -- operations ------------------------------------------------------------------------------------------------

    def operations(self, **query: Any) -> list[dict[str, Any]]:
        return self.call("GET", "/breezeblock/operations", **query)["operations"]

    def show_operation(self, id: str, wait: float = 0) -> dict[str, Any]:
        query = {"wait": wait} if wait else {}
        return self.call("GET", f"/breezeblock/operations/{id}", **query)["operation"]

    def cancel(self, id: str) -> None:
        self.call("POST", f"/breezeblock/operations/{id}/cancel")

    def finished(self, seconds: float = 30.0) -> dict[str, Any]:
        """The operation behind the last request, once it has ended."""
        assert self.operation is not None, "the last request started no operation"
        limit = time.monotonic() + seconds
        while True:
            found = self.show_operation(self.operation, wait=5)
            if found["state"] in ("succeeded", "failed", "cancelled"):
                return found
            assert time.monotonic() < limit, f"operation {found['id']} has not ended: {found}"
