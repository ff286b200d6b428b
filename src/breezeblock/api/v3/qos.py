# SPDX-License-Identifier: Apache-2.0
"""QoS specs: limits by name, and the volume types that have them. Three of the contract's GETs change something: browsers are kept out
by the token."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from breezeblock.api import paging
from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fields import Name, Text255
from breezeblock.api.filters import QOS
from breezeblock.api.route import WRITE, Query, route
from breezeblock.api.truth import query_truth
from breezeblock.api.views import qos as view
from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.model.qos import Consumer
from breezeblock.store import qos
from breezeblock.store.transaction import Tx

RULE = "volume_extension:qos_specs_manage:"

Wanted = Annotated[dict[Name, Text255 | None], Meta(min_length=1)]
Keys = Annotated[list[Name], Meta(min_length=1)]
_TYPE = Query(name="vol_type_id", schema={"type": "string"}, description="The volume type.")


@route("qos.list", "GET /qos-specs", policy=RULE + "get_all", query=paging.parameters(QOS))
def index(call: Call, tx: Tx) -> view.Page:
    """List QoS specs."""
    # they belong to nobody
    query = msgspec.structs.replace(paging.read(call, QOS), project_id=None)
    found, more, _ = paging.page(call, query, "qos-specs", lambda q: qos.page(tx, q))
    return view.Page([view.detail(one) for one in found], more)


@route("qos.show", "GET /qos-specs/{qos_id}", policy=RULE + "get")
def show(call: Call, tx: Tx, qos_id: str) -> view.One:
    """Show QoS specs."""
    return view.one(call, qos.get(tx, qos_id))


@route(
    "qos.create",
    "POST /qos-specs",
    hop=WRITE,
    policy=RULE + "create",
    body=Body("qos_specs", Wanted),
    errors=(409,),
)
def create(call: Call, tx: Tx, body: dict[str, str | None]) -> view.One:
    """Create QoS specs: a name, a consumer, and any other keys."""
    specs = _texts(body)
    name = specs.pop("name", "").strip()
    if not name:
        raise BadRequest("Invalid input for qos_specs: a name is needed", needed="name, 1 to 255 characters")
    consumer = _consumer(specs.pop("consumer", "back-end"))
    return view.one(call, qos.create(tx, name, consumer, specs))


@route(
    "qos.update", "PUT /qos-specs/{qos_id}", hop=WRITE, policy=RULE + "update", body=Body("qos_specs", Wanted)
)
def update(call: Call, tx: Tx, qos_id: str, body: dict[str, str | None]) -> view.Echo:
    """Merge keys; the key consumer changes the consumer, null takes a key away."""
    consumer = body.get("consumer")
    if "consumer" in body:
        consumer = _consumer(consumer)
    change = {key: value for key, value in body.items() if key != "consumer"}
    qos.write(tx, qos_id, change, consumer=consumer)
    return view.Echo(body)


@route(
    "qos.delete",
    "DELETE /qos-specs/{qos_id}",
    hop=WRITE,
    status=202,
    policy=RULE + "delete",
    query=(Query(name="force", schema={"type": "boolean"}),),
)
def remove(call: Call, tx: Tx, qos_id: str) -> None:
    """Delete QoS specs; with force also those that types have."""
    qos.remove(tx, qos_id, force=query_truth(call.query, "force"))


@route(
    "qos.delete_keys",
    "PUT /qos-specs/{qos_id}/delete_keys",
    hop=WRITE,
    status=202,
    policy=RULE + "delete",
    body=Body("keys", Keys),
)
def delete_keys(call: Call, tx: Tx, qos_id: str, body: list[str]) -> None:
    """Take keys away: all of them, or none and 404 when one is not there."""
    if len(set(body)) != len(body):
        raise BadRequest("Invalid input for keys: a key is named twice", needed="unique keys")
    missing = qos.remove_keys(tx, qos_id, body)
    if missing is not None:
        raise NotFound(f"QoS specs {qos_id} have no key {missing[:60]!r}")


@route("qos.associations", "GET /qos-specs/{qos_id}/associations", policy=RULE + "get_all")
def associations(call: Call, tx: Tx, qos_id: str) -> view.Associations:
    """The volume types that have the specs."""
    return view.associations(qos.associations(tx, qos.get(tx, qos_id).id))


@route(
    "qos.associate",
    "GET /qos-specs/{qos_id}/associate",
    hop=WRITE,
    status=202,
    policy=RULE + "update",
    query=(_TYPE,),
)
def associate(call: Call, tx: Tx, qos_id: str) -> None:
    """Give the specs to a volume type."""
    qos.associate(tx, qos_id, _type(call))


@route(
    "qos.disassociate",
    "GET /qos-specs/{qos_id}/disassociate",
    hop=WRITE,
    status=202,
    policy=RULE + "update",
    query=(_TYPE,),
)
def disassociate(call: Call, tx: Tx, qos_id: str) -> None:
    """Take the specs from a volume type."""
    qos.disassociate(tx, qos_id, _type(call))


@route(
    "qos.disassociate_all",
    "GET /qos-specs/{qos_id}/disassociate_all",
    hop=WRITE,
    status=202,
    policy=RULE + "update",
)
def disassociate_all(call: Call, tx: Tx, qos_id: str) -> None:
    """Take the specs from every volume type."""
    qos.disassociate_all(tx, qos_id)


def _type(call: Call) -> str:
    found = call.query.get("vol_type_id")
    if not found:
        raise BadRequest("Volume Type id must not be empty", needed="vol_type_id")
    return found


def _texts(body: dict[str, str | None]) -> dict[str, str]:
    empty = [key for key, value in body.items() if value is None]
    if empty:
        raise BadRequest(f"Invalid input for qos_specs: {empty[0][:60]} is null", needed="a string")
    return {key: value for key, value in body.items() if value is not None}


def _consumer(value: Any) -> str:
    try:
        return str(msgspec.convert(value, Consumer))
    except msgspec.ValidationError:
        raise BadRequest(
            "Invalid input for qos_specs: consumer",
            needed="front-end, back-end or both",
            had=repr(value)[:40],
        ) from None
