# SPDX-License-Identifier: Apache-2.0
"""The small language of extra specs: does a capability satisfy what a volume type asks? (contract, scheduler 6). Must never raise: what
cannot be compared does not match."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
_BOOLEAN = _TRUE | {"0", "f", "false", "off", "n", "no"}


def is_true(value: object) -> bool:
    return str(value).strip().lower() in _TRUE


def _numbers(compare: Callable[[float, float], bool]) -> Callable[[Any, str], bool]:
    def match(capability: Any, word: str) -> bool:
        try:
            return compare(float(capability), float(word))
        except (TypeError, ValueError, OverflowError):
            return False

    return match


def _strings(compare: Callable[[str, str], bool]) -> Callable[[Any, str], bool]:
    return lambda capability, word: compare(str(capability), word)


def _contains(capability: Any, word: str) -> bool:
    if isinstance(capability, list | tuple | set | frozenset | dict):
        return word in capability
    return word in str(capability)


_OPERATORS: dict[str, Callable[[Any, str], bool]] = {
    "=": _numbers(operator.ge),
    "==": _numbers(operator.eq),
    "!=": _numbers(operator.ne),
    ">=": _numbers(operator.ge),
    "<=": _numbers(operator.le),
    "s==": _strings(operator.eq),
    "s!=": _strings(operator.ne),
    "s<": _strings(operator.lt),
    "s<=": _strings(operator.le),
    "s>": _strings(operator.gt),
    "s>=": _strings(operator.ge),
    "<in>": _contains,
    "<is>": lambda capability, word: is_true(capability) is is_true(word),
}


def matches(capability: Any, wanted: str | None) -> bool:
    """`wanted` is the extra spec's value. Only the first word after the operator counts, except for <or>."""
    if wanted is None or capability is None:
        return wanted is None and capability is None
    words = wanted.split()
    if words and words[0] == "<or>":
        return str(capability) in words[1::2]
    if words and (compare := _OPERATORS.get(words[0])) is not None:
        return len(words) > 1 and compare(capability, words[1])
    if isinstance(capability, bool) and wanted.lower() in _BOOLEAN:
        return capability is is_true(wanted)
    return str(capability) == wanted


def capability_keys(specs: Iterator[str]) -> Iterator[tuple[str, list[str]]]:
    """The extra specs that speak of capabilities, each with the path to walk. Other scopes (provisioning:type) do not."""
    for key in specs:
        scope, colon, rest = key.partition(":")
        if not colon:
            yield key, [key]
        elif scope == "capabilities":
            yield key, rest.split(":")
