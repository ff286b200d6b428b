# SPDX-License-Identifier: Apache-2.0
"""From what a person wrote to an id: an id is taken as it is, a name must belong to exactly one thing. Must never pick one of several."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from breezeblock.cli.client import Client
from breezeblock.cli.exits import refused, usage

_ID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
#: The lists in which a name can stand: path, collection, singular.
VOLUME, SNAPSHOT, TYPE = "volume", "snapshot", "type"
_WHERE = {
    VOLUME: ("/volumes", "volumes"),
    SNAPSHOT: ("/snapshots", "snapshots"),
    TYPE: ("/types", "volume_types"),
}


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def resolve(client: Client, noun: str, text: str) -> str:
    """The id of the volume, snapshot or type that `text` names. Raises Ended when it is none, or several."""
    if is_id(text):
        return text
    _refuse_empty(noun, text)
    found = matches(client, noun, text)
    if not found:
        raise refused(
            f"there is no {noun} named '{text}'",
            code="not-found",
            needed=f"the name or id of one {noun}",
            had=repr(text),
            remedy=f"'breezeblock {noun} list' shows what there is.",
        )
    if len(found) > 1:
        raise refused(
            f"{len(found)} {noun}s are named '{text}'",
            code="name.ambiguous",
            needed="one of the ids",
            had=", ".join(str(item["id"]) for item in found),
            remedy="Use the id.",
        )
    return str(found[0]["id"])


def _refuse_empty(noun: str, text: str) -> None:
    """A script's unset variable must not mean the one thing that happens to have an empty name."""
    if not text:
        raise usage(
            f"an empty word names no {noun}",
            needed="a name or an id",
            had="''",
            remedy="Nothing was changed.",
        )


def matches(client: Client, noun: str, name: str) -> list[Mapping[str, Any]]:
    path, collection = _WHERE[noun]
    asked: dict[str, Any] = {"is_public": "none"} if noun == TYPE else {"name": name}
    # The service filters; it is compared once more because a filter may be a pattern to some service.
    return [item for item in client.pages(path, collection, **asked) if item.get("name") == name]


def resolve_any(client: Client, text: str) -> str:
    """An id, or the name of a volume or snapshot: for explain, which takes every kind of id."""
    if is_id(text):
        return text
    _refuse_empty(VOLUME, text)
    found = [item for noun in (VOLUME, SNAPSHOT) for item in matches(client, noun, text)]
    if len(found) == 1:
        return str(found[0]["id"])
    if not found:
        return resolve(client, VOLUME, text)
    raise refused(
        f"'{text}' names {len(found)} things",
        code="name.ambiguous",
        needed="one of the ids",
        had=", ".join(str(item["id"]) for item in found),
        remedy="Use the id.",
    )
