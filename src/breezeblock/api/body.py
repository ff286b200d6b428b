# SPDX-License-Identifier: Apache-2.0
"""Request bodies: bytes to a checked Struct, or 400. Strict JSON (UTF-8, no NaN, no duplicate keys, no NUL, no lone surrogate, bounded
depth and numbers); then the keys that this microversion knows; then msgspec's types and constraints. Must never look at the database:
whether an id exists is the handler's question, and a malformed one simply does not exist."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from breezeblock.api import microversion
from breezeblock.model.errors import BadRequest, Malformed

_NUL = b"\\u0000"


def since(minor: int) -> msgspec.Meta:
    """Put into a field's Annotated: the microversion that brought the key."""
    return msgspec.Meta(
        extra={"since": minor}, extra_json_schema={"x-openstack-min-version": microversion.text(minor)}
    )


def parse(raw: bytes) -> Any:
    """Any strict JSON document."""
    if not raw.strip():
        raise Malformed("The request needs a JSON body", needed="a JSON object", had="nothing")
    try:
        document = msgspec.json.decode(raw)
        _JSON.decode(raw.decode())
    except RecursionError:
        raise Malformed("The body is nested too deeply", needed="a few levels") from None
    except _Duplicate as error:
        raise Malformed(f"The key {error} is given twice in one object") from None
    except (ValueError, msgspec.MsgspecError) as error:
        raise Malformed(f"The body is not valid JSON: {_short(str(error))}") from None
    if _NUL in raw and _holds_nul(document):
        raise Malformed("The body holds a NUL character in a string")
    return document


class _Duplicate(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # One pass: a body full of keys must not cost its square.
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Duplicate(repr(_short(key)))
            seen.add(key)
    return found


_JSON = json.JSONDecoder(object_pairs_hook=_object)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in key or _holds_nul(one) for key, one in value.items())
    return isinstance(value, list) and any(_holds_nul(one) for one in value)


class Body:
    """`{key: struct}`, perhaps with sibling keys (`beside`). Keys of a later microversion, and unknown ones, are refused; below
    `strict_from` they are dropped instead. `key` None: the struct is the whole document. `nullable`: null means an empty object."""

    __slots__ = ("_by_version", "beside", "key", "nullable", "struct", "strict_from")

    def __init__(
        self,
        key: str | None,
        struct: Any,
        *,
        beside: Mapping[str, Any] | None = None,
        strict_from: int = microversion.MIN,
        nullable: bool = False,
    ) -> None:
        self.key, self.struct, self.strict_from, self.nullable = key, struct, strict_from, nullable
        self.beside = dict(beside or {})
        self._by_version = _known_keys(struct)

    def known(self, version: int) -> frozenset[str] | None:
        """The keys of the struct at a version; None when it is not a struct (free keys)."""
        return (
            None
            if self._by_version is None
            else frozenset(k for k, v in self._by_version.items() if v <= version)
        )

    def read(self, document: Any, version: int) -> tuple[Any, dict[str, Any]]:
        """The struct and the siblings that were given."""
        if not isinstance(document, dict):
            raise Malformed("The body must be a JSON object", had=_kind(document))
        if self.key is None:
            return self._convert(document, version, ""), {}
        if self.key not in document:
            raise BadRequest(
                f"The body needs the key {self.key!r}", needed=repr(self.key), had=_keys(document)
            )
        unknown = document.keys() - self.beside.keys() - {self.key}
        if unknown:
            raise _additional(unknown, "the body")
        siblings = {
            key: _typed(document[key], kind, key) for key, kind in self.beside.items() if key in document
        }
        return self._convert(document[self.key], version, self.key), siblings

    def _convert(self, value: Any, version: int, key: str) -> Any:
        if value is None and self.nullable:
            value = {}
        if self._by_version is not None and isinstance(value, dict):
            by_version = self._by_version
            unknown = [k for k in value if by_version.get(k, 999) > version]
            if unknown:
                if version >= self.strict_from:
                    raise _additional(unknown, key or "the body")
                value = {k: v for k, v in value.items() if k not in unknown}
        return _typed(value, self.struct, key)


def _known_keys(struct: Any) -> dict[str, int] | None:
    if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
        return None
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    return {field.encode_name: _since(field.type) for field in info.fields}


def _since(kind: msgspec.inspect.Type) -> int:
    if isinstance(kind, msgspec.inspect.Metadata):
        return int((kind.extra or {}).get("since", microversion.MIN))
    return microversion.MIN


_PATH = re.compile(r" - at `(?:key in )?\$(.*?)`$")


def _typed(value: Any, kind: Any, key: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text = str(error)
        at = _PATH.search(text)
        where = f"{key}{at[1] if at else ''}".lstrip(".") or "the body"
        said = text[: at.start()] if at else text
        raise BadRequest(f"Invalid input for {where}: {_short(said, 300)}", field=where) from None


def _additional(unknown: Any, where: str) -> BadRequest:
    names = ", ".join(repr(_short(name, 60)) for name in sorted(unknown)[:5])
    return BadRequest(
        f"Invalid input for {where}: additional properties are not allowed ({names} was unexpected)",
        remedy="Leave the key out, or ask for the microversion that knows it.",
    )


def _kind(value: Any) -> str:
    return {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(
        type(value), "a number"
    )


def _keys(document: dict[str, Any]) -> str:
    return ", ".join(repr(_short(key, 60)) for key in list(document)[:5]) or "an empty object"


def _short(text: str, limit: int = 120) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
