# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document against the routes that it is made from."""

from __future__ import annotations

import re
from typing import Any

import pytest
import schemathesis

from breezeblock.api import openapi, v3
from tests.api.asgi import Client

ROUTES = v3.routes()


def verify(document: dict[str, Any]) -> None:
    """Raises when the document is not OpenAPI 3.1."""
    schemathesis.openapi.from_dict(document).validate()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.document(ROUTES, "0.1.0")


def test_every_route_is_in_the_document_with_its_status(document: dict[str, Any]) -> None:
    told = {
        about["id"]: (path, method, about["status"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for about in operation["x-operations"]
    }
    assert told == {route.id: (route.path, route.method.lower(), route.status) for route in ROUTES}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for about in operation["x-operations"]:
                assert str(about["status"]) in operation["responses"], (path, method)


@pytest.mark.slow
def test_the_document_is_valid(document: dict[str, Any]) -> None:
    verify(document)


def test_operation_ids_are_unique_and_path_values_declared(document: dict[str, Any]) -> None:
    seen: set[str] = set()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["operationId"] not in seen
            seen.add(operation["operationId"])
            declared = {p["name"] for p in operation["parameters"] if p.get("in") == "path"}
            assert declared == set(re.findall(r"\{(\w+)\}", path))


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for one in value.values():
                yield from references(one)
        elif isinstance(value, list):
            for one in value:
                yield from references(one)

    for reference in references(document):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert target


def test_every_operation_says_what_it_does(document: dict[str, Any]) -> None:
    for route in ROUTES:
        assert route.handler.__doc__, route.id
        assert route.summary.endswith((".", "?")), route.id


def test_the_actions_of_a_path_are_alternatives_of_one_body(document: dict[str, Any]) -> None:
    body = document["paths"]["/volumes/{volume_id}/action"]["post"]["requestBody"]
    shown = {next(iter(one["properties"])) for one in body["content"]["application/json"]["schema"]["oneOf"]}
    assert shown == {route.action for route in ROUTES if route.path == "/volumes/{volume_id}/action"}


def test_a_later_key_says_its_version(document: dict[str, Any]) -> None:
    group = document["components"]["schemas"]["VolumeRequest"]["properties"]["group_id"]
    assert group["x-openstack-min-version"] == "3.13"


def test_the_service_gives_the_document_of_its_own_routes(client: Client, document: dict[str, Any]) -> None:
    assert client.get("/v3/breezeblock/openapi.json").json()["paths"] == document["paths"]
