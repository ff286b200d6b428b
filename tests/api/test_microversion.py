# SPDX-License-Identifier: Apache-2.0
"""Negotiation of the microversion."""

from __future__ import annotations

import pytest

from tests.api.asgi import Client

HEADER = "OpenStack-API-Version"


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ("volume 3.0", "3.0"), ("volume 3.71", "3.71"), ("volume latest", "3.71"), ("compute 2.1,volume 3.42", "3.42"),
        ("volume 3.5, compute 2.99", "3.5"), ("  volume   3.7 ", "3.7"),
    ],
)  # fmt: skip
def test_the_version_asked_for_is_the_one_answered(client: Client, asked: str, used: str) -> None:
    answer = client.get("/v3/volumes", headers={HEADER: asked})
    assert (answer.status, answer.headers["openstack-api-version"]) == (200, f"volume {used}")


def test_nothing_asked_is_3_0(client: Client) -> None:
    assert client.get("/v3/volumes").headers["openstack-api-version"] == "volume 3.0"


@pytest.mark.parametrize("asked", ["volume 3.72", "volume 2.0", "volume 4.0", "volume 3.999999999"])
def test_a_version_out_of_range_is_406(client: Client, asked: str) -> None:
    answer = client.get("/v3/volumes", headers={HEADER: asked})
    assert (answer.status, answer.fault[0]) == (406, "computeFault")


@pytest.mark.parametrize(
    "asked",
    [
        "volume",
        "volume x",
        "volume 3",
        "volume 3.",
        "volume 3.01",
        "volume 3.1.1",
        "volume -3.1",
        "compute 2.1",
        "3.1",
        "",
    ],
)
def test_a_malformed_version_is_400(client: Client, asked: str) -> None:
    answer = client.get("/v3/volumes", headers={HEADER: asked})
    assert (answer.status, answer.fault[0]) == (400, "badRequest")


def test_a_fault_tells_its_version_too(client: Client) -> None:
    answer = client.at("3.42").get("/v3/volumes/nothing")
    assert (answer.status, answer.headers["openstack-api-version"]) == (404, "volume 3.42")


@pytest.mark.parametrize(
    ("before", "since", "path"),
    [
        ("3.11", "3.12", "/v3/volumes/summary"), ("3.26", "3.27", "/v3/attachments"), ("3.2", "3.3", "/v3/messages"),
        ("3.32", "3.33", "/v3/resource_filters"),
    ],
)  # fmt: skip
def test_a_method_that_came_later_is_404_before(client: Client, before: str, since: str, path: str) -> None:
    assert client.at(before).get(path).status == 404
    assert client.at(since).get(path).status == 200
