# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document, made from the very declarations that route, check policy and validate; so it cannot disagree with them. It
shows the newest microversion; keys and operations that came later than 3.0 say when. Must never be edited by hand anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from breezeblock.api import microversion
from breezeblock.api.body import Body
from breezeblock.api.fault import NAMES, OTHER
from breezeblock.api.route import Query, Route
from breezeblock.api.versions import BASE
from breezeblock.api.wire import PlainText

_PARAMETER = re.compile(r"\{([a-z_]+)\}")
#: Answers without a JSON document.
_NO_JSON = (None, type(None), PlainText)
_REF = "#/components/schemas/{name}"
_VERSION_HEADER = {
    "name": "OpenStack-API-Version",
    "in": "header",
    "required": False,
    "description": "The microversion; 3.0 when absent.",
    "schema": {"type": "string", "pattern": r"^volume (latest|3\.([0-9]|[1-6][0-9]|7[01]))$"},
}
#: What any operation may answer beside its own errors.
_ALWAYS = (400, 401, 403, 404, 406, 413, 415, 500, 503)


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    routes = tuple(routes)
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    merged: dict[tuple[str, str], list[Route]] = {}
    for route in routes:
        merged.setdefault((route.path, route.method.lower()), []).append(route)
    for (path, method), alternatives in merged.items():
        paths.setdefault(path, {})[method] = _operation(alternatives, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Breezeblock: Block Storage API v3",
            "version": version or "0",
            "description": f"Microversions {microversion.text(microversion.MIN)} to {microversion.text(microversion.MAX)}.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {"url": BASE},
            {
                "url": f"{BASE}/{{project_id}}",
                "variables": {"project_id": {"default": "0", "description": "The token's."}},
            },
        ],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
            "parameters": {"version": _VERSION_HEADER},
            "responses": {
                "fault": {"description": "A fault.", "content": _json({"$ref": _REF.format(name="Fault")})}
            },
            "schemas": {**schemas.components, "Fault": _fault()},
        },
    }


class _Schemas:
    """JSON schemas of all types that the routes use, as components; objects are closed."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        kinds: list[Any] = []
        for route in routes:
            if route.body is not None:
                kinds += [route.body.struct, *route.body.beside.values()]
            if route.returns not in _NO_JSON:
                kinds.append(route.returns)
        self._kinds = kinds
        found, components = msgspec.json.schema_components(kinds, ref_template=_REF)
        self._found = list(found)
        self.components: dict[str, Any] = {name: _closed(schema) for name, schema in components.items()}

    def of(self, kind: Any) -> Any:
        for known, schema in zip(self._kinds, self._found, strict=True):
            if known == kind:
                return schema
        raise KeyError(kind)

    def of_body(self, body: Body, action: str | None = None) -> dict[str, Any]:
        if body.key is None:
            return dict(self.of(body.struct))
        schema = self.of(body.struct)
        if body.nullable:
            schema = {"anyOf": [schema, {"type": "null"}]}
        properties = {body.key: schema, **{key: self.of(kind) for key, kind in body.beside.items()}}
        return {
            "type": "object",
            "properties": properties,
            "required": [body.key],
            "additionalProperties": False,
        }


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") == "object" and "properties" in schema:
        return {**schema, "additionalProperties": False}
    return schema


def _operation(alternatives: list[Route], schemas: _Schemas) -> dict[str, Any]:
    first = alternatives[-1]
    actions = [route for route in alternatives if route.action is not None]
    out: dict[str, Any] = {
        "operationId": first.id if not actions else first.id.rpartition(".")[0],
        "summary": first.summary if not actions else "One action; the body's only key names it.",
        "tags": [first.segments[0] if first.segments[0] != "breezeblock" else "extension"],
        "x-operations": [_about(route) for route in alternatives],
        "parameters": [
            {"$ref": "#/components/parameters/version"},
            *[
                {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
                for name in _PARAMETER.findall(first.path)
            ],
            *[_query(query) for query in first.query],
        ],
        "responses": _responses(alternatives, schemas),
    }
    bodies = [
        _action_body(route, schemas) if actions else route.body and schemas.of_body(route.body)
        for route in alternatives
    ]
    bodies = [body for body in bodies if body]
    if bodies:
        out["requestBody"] = {
            "required": True,
            "content": _json(bodies[0] if len(bodies) == 1 else {"oneOf": bodies}),
        }
    return out


def _action_body(route: Route, schemas: _Schemas) -> dict[str, Any]:
    if route.body is not None:
        return schemas.of_body(route.body)
    return {
        "type": "object",
        "properties": {route.action: {"description": "Any value; it is not read."}},
        "required": [route.action],
        "additionalProperties": False,
    }


def _about(route: Route) -> dict[str, Any]:
    about: dict[str, Any] = {"id": route.id, "summary": route.summary, "status": route.status}
    if route.rules:
        about["policy"] = list(route.rules)
    if route.min > microversion.MIN:
        about["min-version"] = microversion.text(route.min)
    if route.max < microversion.MAX:
        about["max-version"] = microversion.text(route.max)
    return about


def _query(query: Query) -> dict[str, Any]:
    out = {"name": query.name, "in": "query", "required": False, "schema": dict(query.schema)}
    if query.description:
        out["description"] = query.description
    return out


def _responses(alternatives: list[Route], schemas: _Schemas) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for status in sorted({route.status for route in alternatives}):
        kinds = [route.returns for route in alternatives if route.status == status]
        shown = [schemas.of(kind) for kind in kinds if kind not in _NO_JSON]
        answer: dict[str, Any] = {"description": "Done." if status in (200, 204) else "Accepted."}
        if shown:
            answer["content"] = _json(shown[0] if len(shown) == 1 else {"anyOf": shown})
        elif PlainText in kinds:
            answer["content"] = {"text/plain": {"schema": {"type": "string"}}}
        out[str(status)] = answer
    for status in sorted({*_ALWAYS, *(error for route in alternatives for error in route.errors)}):
        out.setdefault(str(status), {"$ref": "#/components/responses/fault"})
    return out


def _fault() -> dict[str, Any]:
    inner = {
        "type": "object",
        "properties": {
            "code": {"type": "integer"},
            "message": {"type": "string"},
            "retryAfter": {"type": "string"},
            "error": {
                "type": "object",
                "description": "Under /breezeblock only: code, message, needed, had, remedy.",
            },
        },
        "required": ["code", "message"],
        "additionalProperties": False,
    }
    names = sorted({*NAMES.values(), OTHER})
    return {
        "type": "object",
        "properties": dict.fromkeys(names, inner),
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
