# SPDX-License-Identifier: Apache-2.0
"""How a boolean may be spelled in a body or a query: the contract's two lists."""

from __future__ import annotations

from typing import Literal

from breezeblock.model.errors import BadRequest

TrueText = Literal["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "y", "t"]
FalseText = Literal["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "n", "f"]
#: The type of a boolean in a request body.
Truth = bool | TrueText | FalseText

_TRUE = frozenset({"true", "1", "on", "yes", "y", "t"})
_FALSE = frozenset({"false", "0", "off", "no", "n", "f"})


def truth(value: bool | str) -> bool | None:
    """None: it is neither."""
    if isinstance(value, bool):
        return value
    text = value.strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def query_truth(query: dict[str, str], key: str, default: bool = False) -> bool:
    """A boolean of the query string; anything else is refused."""
    if key not in query:
        return default
    known = truth(query[key])
    if known is None:
        raise BadRequest(f"{key} must be true or false", had=repr(query[key][:40]))
    return known
