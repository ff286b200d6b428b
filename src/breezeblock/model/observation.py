# SPDX-License-Identifier: Apache-2.0
"""What looking at the outside found. The answer of every `observe` and `find`: it changes nothing and never guesses."""

from __future__ import annotations

import enum
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Found(enum.StrEnum):
    """How much of an external effect is there."""

    DONE = "done"
    NOT_DONE = "not-done"
    PARTIAL = "partial"
    #: The outside cannot be reached. Wait and look again, never act on it.
    UNKNOWN = "unknown"


class Observation(msgspec.Struct, Generic[T], frozen=True):
    """`value` is there only for DONE (and, where it helps an undo, PARTIAL); `detail` is for people."""

    found: Found
    value: T | None = None
    detail: str = ""

    @classmethod
    def done(cls, value: T, detail: str = "") -> Observation[T]:
        return cls(Found.DONE, value, detail)

    @classmethod
    def not_done(cls, detail: str = "") -> Observation[T]:
        return cls(Found.NOT_DONE, None, detail)

    @classmethod
    def partial(cls, value: T | None = None, detail: str = "") -> Observation[T]:
        return cls(Found.PARTIAL, value, detail)

    @classmethod
    def unknown(cls, detail: str) -> Observation[T]:
        return cls(Found.UNKNOWN, None, detail)
