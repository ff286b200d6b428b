# SPDX-License-Identifier: Apache-2.0
"""Links of an answer: the self and bookmark pair of an item, and the next page. Pairs are put together as JSON text, because a list of
a thousand volumes has a thousand of them."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import msgspec

from breezeblock.api.call import Call, json_text
from breezeblock.api.versions import BASE


class Link(msgspec.Struct, frozen=True):
    rel: str
    href: str


def pair(call: Call, collection: str) -> Callable[[str], msgspec.Raw]:
    """Makes the link pair of an item from its id, which must be plain (a UUID or digits)."""
    origin, project = json_text(call.origin), call.project_part
    head = f'[{{"rel":"self","href":"{origin}{BASE}{project}/{collection}/'
    middle = f'"}},{{"rel":"bookmark","href":"{origin}{project}/{collection}/'
    tail = '"}]'
    raw = msgspec.Raw
    return lambda id: raw(head + id + middle + id + tail)


def next_page(call: Call, path: str, last_id: str) -> list[Link]:
    """The same request again, with the marker moved on and everything else kept."""
    query = {**call.query, "marker": last_id}
    query.pop("offset", None)
    return [Link("next", f"{call.origin}{BASE}{call.project_part}/{path}?{urlencode(query)}")]
