# SPDX-License-Identifier: Apache-2.0
"""Sizes as people spell them: 10, 10G, 10GB, 10GiB (all the same) and 1T. The API knows whole GiB only, so a size that is not whole
is refused rather than rounded: nobody should get another disk than the one asked for."""

from __future__ import annotations

import re

from breezeblock.cli.exits import usage

_SPELLING = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgtp]?)(?:i?b)?", re.IGNORECASE)
_MIB = {"k": 1 / 1024, "m": 1, "": 1024, "g": 1024, "t": 1024**2, "p": 1024**3}
#: The contract's largest size.
MOST_GIB = 2_147_483_647


def gib(text: str) -> int:
    """Whole GiB from a person's spelling. A bare number is GiB."""
    found = _SPELLING.fullmatch(text.strip())
    if found is None:
        raise usage(
            f"'{text}' is not a size", needed="a number of GiB such as 10, 10G, 10GiB or 1T", had=repr(text)
        )
    mib = float(found["number"]) * _MIB[found["unit"].lower()]
    whole = int(mib // 1024)
    if mib != whole * 1024 or not 1 <= whole <= MOST_GIB:
        up = min(max(1, whole + (mib > whole * 1024)), MOST_GIB)
        raise usage(
            f"'{text}' is not a possible size",
            needed=f"whole GiB, 1 to {MOST_GIB}",
            had=text,
            remedy=f"Say {up}G.",
        )
    return whole
