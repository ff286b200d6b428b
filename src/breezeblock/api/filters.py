# SPDX-License-Identifier: Apache-2.0
"""Which keys of a query string filter and order which list: the contract's filter file and version rules as data, and the reading of a
key's value by the kind of its column. Must never build SQL: it makes model.paging filters."""

from __future__ import annotations

import ast
import contextlib
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from breezeblock.api.call import Call
from breezeblock.api.truth import truth
from breezeblock.model.errors import BadRequest
from breezeblock.model.paging import Filter, Op

#: From here on unknown filters are refused; below they are dropped.
CONFIGURED, LIKE, TIMES = 31, 34, 60


class Kind(enum.Enum):
    TEXT = "text"
    NUMBER = "number"
    TRUTH = "truth"
    TIME = "time"
    PAIRS = "pairs"


TEXT, NUMBER, TRUTH, TIME, PAIRS = Kind.TEXT, Kind.NUMBER, Kind.TRUTH, Kind.TIME, Kind.PAIRS


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """`listed`: for everybody. `columns`: the kinds of all columns; an administrator may use any of them. `since`: keys that a
    microversion brought. `renamed`: query key -> column. `orders`: sort keys."""

    listed: tuple[str, ...]
    columns: Mapping[str, Kind]
    orders: frozenset[str]
    since: Mapping[str, int] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    #: for everybody too, but not in the file that GET /resource_filters shows.
    further: tuple[str, ...] = ()


_OWN = {"id": TEXT, "name": TEXT, "description": TEXT, "status": TEXT, "created_at": TIME, "updated_at": TIME}

VOLUME = Filters(
    listed=(
        "name", "status", "metadata", "bootable", "migration_status", "availability_zone", "group_id", "size", "created_at",
        "updated_at", "consumes_quota",
    ),
    columns={
        **_OWN, "user_id": TEXT, "project_id": TEXT, "size": NUMBER, "attach_status": TEXT, "migration_status": TEXT,
        "availability_zone": TEXT, "volume_type_id": TEXT, "volume_type": TEXT, "snapshot_id": TEXT, "source_volid": TEXT,
        "bootable": TRUTH, "multiattach": TRUTH, "replication_status": TEXT, "group_id": TEXT, "host": TEXT, "cluster_name": TEXT,
        "consumes_quota": TRUTH, "metadata": PAIRS, "image_metadata": PAIRS, "launched_at": TIME, "encryption_key_id": TEXT,
    },
    orders=frozenset({
        "id", "name", "description", "status", "size", "created_at", "updated_at", "launched_at", "availability_zone",
        "volume_type_id", "user_id", "project_id", "migration_status", "attach_status", "snapshot_id",
        "source_volid", "group_id", "host", "bootable", "multiattach", "consumes_quota",
    }),
    since={"group_id": 10, "glance_metadata": 4, "consumes_quota": 65},
    renamed={
        "display_name": "name", "display_description": "description", "glance_metadata": "image_metadata",
        "tenant_id": "project_id",
    },
    further=("glance_metadata",),
)  # fmt: skip

SNAPSHOT = Filters(
    listed=("name", "status", "volume_id", "metadata", "availability_zone", "consumes_quota"),
    columns={
        **_OWN, "user_id": TEXT, "project_id": TEXT, "volume_id": TEXT, "size": NUMBER, "progress": TEXT,
        "volume_type_id": TEXT, "group_snapshot_id": TEXT, "availability_zone": TEXT, "consumes_quota": TRUTH, "metadata": PAIRS,
    },
    orders=frozenset({"id", "name", "description", "status", "size", "created_at", "updated_at", "volume_id", "project_id", "user_id"}),
    since={"metadata": 22, "availability_zone": 31, "consumes_quota": 65},
    renamed={"display_name": "name", "display_description": "description", "tenant_id": "project_id", "volume_size": "size"},
)  # fmt: skip

ATTACHMENT = Filters(
    listed=("volume_id", "status", "instance_id", "attach_status"),
    columns={
        "id": TEXT, "volume_id": TEXT, "project_id": TEXT, "instance_uuid": TEXT, "attach_status": TEXT, "attached_host": TEXT,
        "mountpoint": TEXT, "attach_mode": TEXT, "created_at": TIME, "updated_at": TIME,
    },
    orders=frozenset({"id", "volume_id", "attach_status", "attached_host", "created_at", "updated_at", "instance_uuid"}),
    renamed={"status": "attach_status", "instance_id": "instance_uuid", "tenant_id": "project_id"},
)  # fmt: skip

VOLUME_TYPE = Filters(
    listed=("is_public", "extra_specs"),
    columns={"id": TEXT, "name": TEXT, "description": TEXT, "created_at": TIME, "updated_at": TIME},
    orders=frozenset({"id", "name", "description", "is_public", "created_at", "updated_at"}),
)

GROUP_TYPE = Filters(
    listed=("is_public",),
    columns={"id": TEXT, "name": TEXT, "description": TEXT, "created_at": TIME, "updated_at": TIME},
    orders=frozenset({"id", "name", "description", "is_public", "created_at", "updated_at"}),
)

QOS = Filters(
    listed=("id", "name", "consumer"),
    columns={"id": TEXT, "name": TEXT, "consumer": TEXT, "created_at": TIME, "updated_at": TIME},
    orders=frozenset({"id", "name", "consumer", "created_at", "updated_at"}),
)

TRANSFER = Filters(
    listed=("name",),
    columns={
        "id": TEXT, "name": TEXT, "volume_id": TEXT, "project_id": TEXT, "no_snapshots": TRUTH, "created_at": TIME,
    },
    orders=frozenset({"id", "name", "volume_id", "created_at"}),
    renamed={"display_name": "name", "source_project_id": "project_id"},
)  # fmt: skip

MESSAGE = Filters(
    listed=("resource_uuid", "resource_type", "event_id", "request_id", "message_level"),
    columns={
        "id": TEXT, "project_id": TEXT, "resource_uuid": TEXT, "resource_type": TEXT, "event_id": TEXT, "request_id": TEXT,
        "message_level": TEXT, "created_at": TIME,
    },
    orders=frozenset({"id", "created_at", "guaranteed_until", "resource_type", "resource_uuid", "event_id", "request_id", "message_level"}),
)  # fmt: skip

#: What GET /resource_filters tells, for resources whose lists are here or come later.
TOLD: Mapping[str, tuple[str, ...]] = {
    "volume": VOLUME.listed,
    "backup": ("name", "status", "volume_id"),
    "snapshot": SNAPSHOT.listed,
    "group": ("name",),
    "group_snapshot": ("name", "status", "group_id"),
    "attachment": ATTACHMENT.listed,
    "message": MESSAGE.listed,
    "pool": ("name", "volume_type"),
    "volume_type": VOLUME_TYPE.listed,
}

_COMPARISONS: Mapping[str, Op] = {
    "gt": "gt",
    "gte": "gte",
    "eq": "eq",
    "neq": "neq",
    "lt": "lt",
    "lte": "lte",
}
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_INT_MAX = 2**31 - 1
#: A literal longer than this is no filter that a person wrote.
_LITERAL_LIMIT = 8192


def nothing() -> Filter:
    """Matches no row."""
    return Filter("id", "in", ())


def read(call: Call, filters: Filters, given: Mapping[str, str]) -> tuple[Filter, ...]:
    """The filters of a query's remaining keys."""
    out: list[Filter] = []
    unknown: list[str] = []
    for key, value in given.items():
        if not key.isascii():
            raise BadRequest("Filter keys must be plain ASCII", had=repr(key[:40]))
        like = key.endswith("~")
        bare = key[:-1] if like else key
        known = call.version >= filters.since.get(bare, 0) and (
            bare in filters.listed
            or bare in filters.further
            or filters.renamed.get(bare) in filters.listed
            or (call.caller.is_admin and filters.renamed.get(bare, bare) in filters.columns)
        )
        if not known or (like and call.version < LIKE):
            unknown.append(key)
            continue
        column = filters.renamed.get(bare, bare)
        out.extend(_one(call, column, filters.columns[column], key, value, like))
    if unknown and call.version >= CONFIGURED:
        raise BadRequest(
            f"Invalid filters {', '.join(repr(k[:40]) for k in unknown)} are found in query options",
            needed=f"any of {', '.join(filters.listed)}",
        )
    if unknown and call.caller.is_admin:
        out.append(nothing())
    return tuple(out)


def _one(call: Call, column: str, kind: Kind, key: str, value: str, like: bool) -> list[Filter]:
    if like:
        if kind is not TEXT:
            raise BadRequest(f"{key}: only text can be compared by likeness")
        return [Filter(column, "like", value)]
    if kind is PAIRS:
        pairs = _pairs(key, value)
        return [Filter(column, "meta", pairs)] if pairs else []
    if kind is TRUTH:
        if column == "bootable" and call.version < 2:
            return [Filter(column, "eq", truth(value) is not False)]
        known = truth(value)
        if known is None:
            raise BadRequest(f"{key} must be true or false", had=repr(value[:40]))
        return [Filter(column, "eq", known)]
    if kind is NUMBER:
        number = int(value) if _NUMBER.fullmatch(value) else None
        return [nothing() if number is None or abs(number) > _INT_MAX else Filter(column, "eq", number)]
    if kind is TIME and call.version >= TIMES:
        return [_time(key, column, part) for part in value.split(",")]
    several = _several(value)
    if several is not None:
        return [Filter(column, "in", several)]
    return [Filter(column, "eq", value)]


def _several(value: str) -> tuple[str, ...] | None:
    """['a', 'b'] means any of them."""
    if not (value.startswith("[") and value.endswith("]")):
        return None
    found = _literal(value)
    return tuple(found) if isinstance(found, list) and all(isinstance(one, str) for one in found) else None


def _literal(value: str) -> object:
    if len(value) > _LITERAL_LIMIT:
        return None
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _pairs(key: str, value: str) -> tuple[tuple[str, str], ...]:
    """A Python or JSON literal of an object whose values are plain."""
    found = _literal(value)
    if isinstance(found, dict) and all(isinstance(k, str) for k in found):
        pairs: tuple[tuple[str, str], ...] = ()
        with contextlib.suppress(ValueError):  # a number of more digits than str() writes
            pairs = tuple((k, v if isinstance(v, str) else str(v)) for k, v in found.items())
        if len(pairs) == len(found) and not any(
            "\x00" in k or "\x00" in v or _surrogate(k) or _surrogate(v) for k, v in pairs
        ):
            return pairs
    raise BadRequest(f"{key} must be an object of strings", needed="{'key': 'value'}", had=repr(value[:60]))


def _surrogate(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)


def _time(key: str, column: str, part: str) -> Filter:
    operator, colon, moment = part.partition(":")
    comparison = _COMPARISONS.get(operator)
    if comparison is None or not colon:
        # A bare time has colons of its own: it means equality.
        comparison, moment = "eq", part
        if operator.isalpha():
            raise BadRequest(
                f"{key}: unknown comparison {operator[:20]!r}", needed=f"one of {', '.join(_COMPARISONS)}"
            )
    return Filter(column, comparison, stored_time(key, moment.strip()))


def stored_time(key: str, text: str) -> str:
    """An ISO 8601 instant as the model has it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(
            f"{key}: not an ISO 8601 time", had=repr(text[:40]), needed="2026-11-21T07:43:43"
        ) from None
    try:
        moment = moment.astimezone(UTC) if moment.tzinfo else moment
    except OverflowError:
        raise BadRequest(f"{key}: the time is out of range", had=repr(text[:40])) from None
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")
