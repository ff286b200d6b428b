# SPDX-License-Identifier: Apache-2.0
"""The names that a configuration may use for filters and weighers. Owns the check at start-up: a wrong name is an error before the first
request, with the name that was probably meant. Must never guess and go on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec

from breezeblock.model.errors import Error
from breezeblock.scheduler.filters import FILTERS
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.weighers import WEIGHERS


class UnknownName(Error):
    """The configuration names a filter or weigher that does not exist."""

    code = "config.scheduler-name"
    summary = "The scheduler's configuration names something that does not exist."
    default_remedy = "Correct the name under [scheduler] and start again."


def check(policy: Policy) -> Policy:
    """The policy with every name in its short form; UnknownName when one does not exist."""
    return msgspec.structs.replace(
        policy,
        filters=tuple(known(name, FILTERS, "filter") for name in policy.filters),
        weighers=tuple(known(name, WEIGHERS, "weigher") for name in policy.weighers),
        multipliers={known(name, WEIGHERS, "weigher"): value for name, value in policy.multipliers.items()},
    )


def short(name: str, kind: str) -> str:
    """The contract's class names are understood too: 'CapacityFilter' is 'capacity', 'VolumeNumberWeigher' is 'volume_number'."""
    stem = name.removesuffix(kind.capitalize())
    if stem == name:
        return name
    if stem == "IgnoreAttemptedHosts":
        return "retry"
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in stem).lstrip("_")


def known(name: str, there_are: Iterable[str], kind: str) -> str:
    """The short form of `name`, or UnknownName with a suggestion."""
    names = sorted(there_are)
    wanted = short(name, kind)
    if wanted in names:
        return wanted
    near = difflib.get_close_matches(wanted, names, n=1)
    meant = f" (did you mean '{near[0]}'?)" if near else ""
    raise UnknownName(
        f"there is no {kind} named '{name}'{meant}",
        needed=f"one of {', '.join(names)}",
        had=f"'{name}'",
        remedy=f"Correct '{kind}s' (or 'multipliers') under [scheduler] and start again.",
    )
