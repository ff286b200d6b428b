# SPDX-License-Identifier: Apache-2.0
"""A value that cannot be printed, logged, compared by accident or serialised: only `reveal()` gives it back."""

from typing import NoReturn


class Secret:
    """Holds one secret string. `str`, `repr`, format and pickling show or carry nothing of it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be serialised; seal it first")

    def __eq__(self, other: object) -> bool:
        import hmac

        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(("Secret", self._value))
