# SPDX-License-Identifier: Apache-2.0
"""The one order that every request goes through, and what it answers when something is wrong on the way."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from typing import Any

import pytest

from breezeblock.api import app as application
from breezeblock.api import wire
from breezeblock.api.app import Api
from breezeblock.api.route import PLAIN, Route
from breezeblock.api.services import Facts, Services
from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client

REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_every_answer_carries_request_ids_and_says_what_it_varies_by(client: Client) -> None:
    for answer in (
        client.get("/v3/volumes"),
        client.get("/v3/nothing"),
        client.get("/"),
        client.get("/healthcheck"),
    ):
        assert REQUEST_ID.fullmatch(answer.headers["x-openstack-request-id"])
        assert answer.headers["x-compute-request-id"] == answer.headers["x-openstack-request-id"]
        assert answer.headers["vary"] == "OpenStack-API-Version"
        assert answer.headers["openstack-api-version"] == "volume 3.0"


def test_the_version_document_is_300_at_the_root_without_a_token_and_200_below(client: Client) -> None:
    root = client.as_token(None).get("/")
    assert root.status == 300
    (version,) = root.json()["versions"]
    assert (version["id"], version["status"]) == ("v3.0", "CURRENT")
    assert (version["min_version"], version["version"]) == ("3.0", "3.71")
    assert {"rel": "self", "href": "http://cloud.example:8776/v3/"} in version["links"]
    assert client.get("/v3/").json() == root.json()
    assert client.get("/v3/").status == client.get("/v3").status == 200
    assert client.as_token(None).get("/v3/").status == 401


def test_the_health_check_needs_no_token(client: Client) -> None:
    answer = client.as_token(None).get("/healthcheck")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (
        200,
        b"OK",
        "text/plain; charset=utf-8",
    )


@pytest.mark.parametrize(
    "path",
    [
        "/v3/nothing",
        "/v2/volumes",
        "/v3/volumes/",
        "/v3//volumes",
        "/v3/volumes/x/edit",
        "/v3/volumes/x/y/z",
        "/v3/zz/volumes",
    ],
)
def test_a_path_that_fits_no_route_is_404(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status, answer.fault[0]) == (404, "itemNotFound")


def test_a_path_with_other_methods_is_405_and_names_them(client: Client) -> None:
    answer = client.ask("PATCH", "/v3/volumes/x")
    assert (answer.status, answer.fault[0], answer.headers["allow"]) == (405, "badMethod", "DELETE, GET, PUT")


def test_a_fixed_segment_falls_back_to_an_id_for_other_methods(client: Client) -> None:
    assert client.delete("/v3/volumes/detail").status == 404


def test_both_base_paths_answer_and_a_foreign_project_in_the_path_is_400(client: Client) -> None:
    assert client.get("/v3/volumes").json() == client.get(f"/v3/{rows.PROJECT}/volumes").json()
    answer = client.get(f"/v3/{rows.OTHER_PROJECT}/volumes")
    assert (answer.status, answer.fault[0]) == (400, "badRequest")
    assert "Malformed request url" in answer.fault[1]


def test_a_project_that_is_not_hexadecimal_is_404(client: Client) -> None:
    assert client.get("/v3/project-x/volumes").status == 404


def test_the_json_suffix_is_accepted(client: Client, store: Store) -> None:
    id = rows.volume(store, metadata='{"a.json":"1","a":"2"}')
    assert client.get("/v3/volumes.json").status == 200
    assert client.get("/v3/volumes/detail.json").status == 200
    assert client.get(f"/v3/{rows.PROJECT}/volumes/{id}.json").json()["volume"]["id"] == id
    # A key is free text: its own ending is meant.
    assert client.get(f"/v3/volumes/{id}/metadata/a.json").json() == {"meta": {"a.json": "1"}}


def test_an_escaped_slash_stays_inside_its_segment(client: Client, store: Store) -> None:
    id = rows.volume(store, metadata='{"a/b":"1"}')
    assert client.get(f"/v3/volumes/{id}/metadata/a%2Fb").json() == {"meta": {"a/b": "1"}}


@pytest.mark.parametrize("id", ["%00", "%ff%fe", "a%00b", "..", "%2e%2e", "'", "%F0%9F%A7%B1", "x" * 4000])
def test_a_hostile_id_is_404(client: Client, id: str) -> None:
    assert client.get(f"/v3/volumes/{id}").status == 404
    assert client.delete(f"/v3/snapshots/{id}").status == 404
    assert client.get(f"/v3/types/{id}").status == 404
    assert client.at("3.27").get(f"/v3/attachments/{id}").status == 404


@pytest.mark.parametrize(
    "query", ["name=%00", "name=%ff", "marker=%00", "&".join(f"k{n}=v" for n in range(101))]
)
def test_a_hostile_query_is_400(client: Client, query: str) -> None:
    assert client.get(f"/v3/volumes?{query}").status == 400


def test_no_token_and_a_wrong_token_are_401(client: Client) -> None:
    for token in (None, "", "wrong"):
        answer = client.as_token(token).get("/v3/volumes")
        assert (answer.status, answer.fault[0]) == (401, "unauthorized")
        assert "www-authenticate" in answer.headers


def test_an_unsupported_content_type_is_415(client: Client) -> None:
    answer = client.post("/v3/volumes", raw=b"<volume/>", headers={"Content-Type": "application/xml"})
    assert (answer.status, answer.fault[0]) == (415, "badMediaType")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/vnd.openstack.volume+json"]
)
def test_the_contracts_content_types_are_accepted(client: Client, kind: str) -> None:
    assert client.post("/v3/volumes", {"volume": {"size": 1}}, headers={"Content-Type": kind}).status == 202


def test_a_body_over_the_limit_is_413_and_no_rate_limit(client: Client) -> None:
    answer = client.post("/v3/volumes", raw=b"{" + b" " * 114688 + b"}")
    assert (answer.status, answer.fault[0]) == (413, "overLimit")
    assert "retry-after" not in answer.headers


def test_a_body_of_unknown_length_is_cut_off_at_the_limit(api: Api) -> None:
    async def endless() -> int:
        read = 0
        statuses = []

        async def receive() -> dict[str, object]:
            nonlocal read
            read += 1
            return {"type": "http.request", "body": b" " * 65536, "more_body": True}

        async def send(message: object) -> None:
            if isinstance(message, dict) and "status" in message:
                statuses.append(message["status"])

        scope = {
            "type": "http", "method": "POST", "path": "/v3/volumes", "query_string": b"", "scheme": "http",
            "headers": [(b"x-auth-token", b"the-administrators-token")],
        }  # fmt: skip
        await api(scope, receive, send)
        assert statuses == [413]
        return read

    assert asyncio.run(endless()) == 2


@pytest.mark.parametrize("begun", [[], [b"{", b'"volume"']], ids=["nothing", "a part"])
def test_a_body_that_does_not_come_is_not_waited_for(
    api: Api, monkeypatch: pytest.MonkeyPatch, begun: list[bytes]
) -> None:
    monkeypatch.setattr(wire, "BODY_SECONDS", 0.05)
    sent: list[Any] = []
    parts = iter(begun)

    async def receive() -> dict[str, object]:
        chunk = next(parts, None)
        if chunk is None:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message: object) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v3/volumes", "query_string": b"", "scheme": "http",
        "headers": [(b"x-auth-token", b"the-administrators-token")],
    }  # fmt: skip
    asyncio.run(asyncio.wait_for(api(scope, receive, send), 10))
    assert sent[0]["status"] == 400
    assert b"did not come in time" in sent[1]["body"]


def test_a_client_that_goes_away_is_answered_nothing(api: Api) -> None:
    async def leave() -> list[object]:
        sent: list[object] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.disconnect"}

        async def send(message: object) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/v3/volumes", "query_string": b"", "scheme": "http",
            "headers": [(b"x-auth-token", b"the-administrators-token")],
        }  # fmt: skip
        await api(scope, receive, send)
        return sent

    assert asyncio.run(leave()) == []


def test_a_defect_is_a_compute_fault_without_its_text(
    services: Services, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(call: object) -> None:
        raise RuntimeError("the secret inside")

    route = Route(id="broken", method="GET", path="/broken", handler=broken, hop=PLAIN, status=200)
    answer = Client(Api(services, (route,)), client.runner).get("/v3/broken")
    assert (answer.status, answer.fault[0]) == (500, "computeFault")
    assert "secret" not in answer.body.decode()
    assert answer.headers["x-openstack-request-id"] in answer.fault[1]
    assert "the secret inside" in caplog.text


def test_new_work_is_refused_with_503_while_the_process_stops(services: Services, client: Client) -> None:
    stopping = Client(
        application.build(dataclasses.replace(services, accepting=lambda: False)), client.runner
    )
    answer = stopping.post("/v3/volumes", {"volume": {"size": 1}})
    assert (answer.status, answer.fault[0]) == (503, "serviceUnavailable")
    assert stopping.get("/v3/volumes").status == 200


def test_a_public_endpoint_replaces_the_requests_own_host(services: Services, client: Client) -> None:
    facts = Facts(public_endpoint="https://storage.example/")
    outside = Client(application.build(dataclasses.replace(services, facts=facts)), client.runner)
    (version,) = outside.get("/").json()["versions"]
    assert {"rel": "self", "href": "https://storage.example/v3/"} in version["links"]


def test_a_host_header_that_is_no_host_is_400(client: Client) -> None:
    assert client.get("/v3/volumes", headers={"Host": 'x"><script>'}).status == 400


def test_a_fault_under_the_extension_carries_the_catalogue_entry(client: Client) -> None:
    plain = client.get("/v3/volumes/none").json()["itemNotFound"]
    assert set(plain) == {"code", "message"}
    extended = client.get("/v3/breezeblock/operations/none").json()["itemNotFound"]
    assert extended["error"]["code"] == "not-found"
    assert extended["error"]["remedy"]


def test_policy_is_checked_before_the_body_is_validated(client: Client) -> None:
    answer = client.as_token("reader").post("/v3/volumes", {"nonsense": 1})
    assert (answer.status, answer.fault[0]) == (403, "forbidden")


def test_a_refused_show_of_a_volume_says_nothing_of_its_existence(client: Client, store: Store) -> None:
    id = rows.volume(store)
    assert client.as_token("nobody").get(f"/v3/volumes/{id}").status == 404
    assert client.as_token("nobody").get("/v3/volumes").status == 403
