# SPDX-License-Identifier: Apache-2.0
"""The types of request fields, as the contract names them: constraints that msgspec checks and the OpenAPI document shows, and the few
that need a function. Must never know which request uses them."""

from __future__ import annotations

import re
import unicodedata
import uuid
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, UnsetType

from breezeblock.model.errors import BadRequest

INT_MAX = 2**31 - 1
# '$' alone would let a trailing newline pass.
_END = r"(?!\n)$"

#: 1..255, not blank (see `not_blank`).
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Name0 = Annotated[str, Meta(max_length=255)] | None
Text255 = Annotated[str, Meta(max_length=255)]
Zone = Annotated[str, Meta(min_length=1, max_length=255)] | None
#: The id of something that must exist: a malformed one does not, and is 404 like any unknown one.
SomeId = Annotated[str, Meta(max_length=255)]
GiBSize = (
    Annotated[int, Meta(ge=1, le=INT_MAX)] | Annotated[str, Meta(pattern=rf"^[0-9]+{_END}", max_length=10)]
)
QuotaValue = (
    Annotated[int, Meta(ge=-1, le=INT_MAX)] | Annotated[str, Meta(pattern=rf"^-?[0-9]+{_END}", max_length=11)]
)

Metadata = dict[
    Annotated[str, Meta(min_length=1, max_length=255, pattern=rf"^[a-zA-Z0-9\-_:. /]{{1,255}}{_END}")],
    Annotated[str, Meta(max_length=255)],
]
#: Without the slash.
SnapshotMetadata = dict[
    Annotated[str, Meta(min_length=1, max_length=255, pattern=rf"^[a-zA-Z0-9\-_:. ]{{1,255}}{_END}")],
    Annotated[str, Meta(max_length=255)],
]
ExtraSpecs = dict[
    Annotated[str, Meta(min_length=1, max_length=255, pattern=rf"^[a-zA-Z0-9\-_:.]{{1,255}}{_END}")],
    Annotated[str, Meta(max_length=255)] | None,
]
ImageMetadata = dict[
    Annotated[str, Meta(min_length=1, max_length=255, pattern=rf"^[a-zA-Z0-9\-_:. /]{{1,255}}{_END}")],
    Annotated[str, Meta(max_length=65535)],
]


class ConnectorFacts(msgspec.Struct):
    """What the service itself reads of a connector; the rest of it is the target's."""

    host: Text255 | None = None
    mountpoint: Text255 | None = None
    mode: Literal["rw", "ro", "null"] | None = None


def check_connector(key: str, value: Any) -> None:
    """For __post_init__: the service's own part of a connector is well formed."""
    if isinstance(value, dict):
        try:
            msgspec.convert(value, ConnectorFacts)
        except msgspec.ValidationError as error:
            raise ValueError(f"{key}: {error}") from None


def gib(value: int | str) -> int:
    """A size of a body, in GiB, in range."""
    number = int(value)
    if not 1 <= number <= INT_MAX:
        raise BadRequest(f"The size must be from 1 to {INT_MAX} GiB", had=str(value)[:20])
    return number


def not_blank(key: str, value: str | UnsetType | None) -> None:
    """For __post_init__ of a request: a name of blanks only is none."""
    if isinstance(value, str) and not value.strip():
        raise ValueError(f"{key} can not be blank")


def printable(key: str, value: str | UnsetType | None) -> None:
    """For __post_init__: no control, format or separator characters but the blanks."""
    if isinstance(value, str) and not value.isprintable():
        for char in value:
            category = unicodedata.category(char)
            if category[0] == "C" or category in ("Zl", "Zp"):
                raise ValueError(f"{key} holds a character that cannot be printed (U+{ord(char):04X})")


_UUID = re.compile(r"[0-9a-f]{32}")
_PLAIN = re.compile(r"^(urn:uuid:|urn:|uuid:)|[{}\-]")


def is_uuid(text: str) -> bool:
    """Any form of a UUID: with or without dashes, braces or urn."""
    return bool(_UUID.fullmatch(_PLAIN.sub("", text.strip().lower())))


def uuid_text(key: str, value: str | UnsetType | None) -> None:
    """For __post_init__: a UUID, or null."""
    if isinstance(value, str) and not is_uuid(value):
        raise ValueError(f"{key} is not a UUID")


def same_uuid(text: str) -> str:
    """The usual spelling of a UUID that is one in any form."""
    return str(uuid.UUID(hex=_PLAIN.sub("", text.strip().lower())))


def first_given(*values: Any) -> Any:
    """The first that is not UNSET; UNSET when none is."""
    return next((value for value in values if value is not msgspec.UNSET), msgspec.UNSET)
