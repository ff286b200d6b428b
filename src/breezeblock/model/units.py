# SPDX-License-Identifier: Apache-2.0
"""Sizes. Bytes inside, GiB at the API ("GB" there means 2**30 bytes). Must never round down a size that holds data."""

KiB = 1 << 10
MiB = 1 << 20
GiB = 1 << 30


def gib_ceil(size: int) -> int:
    """The whole GiB that hold `size` bytes (rounded up)."""
    return -(-size // GiB)


def human(size: int) -> str:
    """A size in bytes for people: "1.5 GiB"."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if value == int(value) else f"{value:.1f} {unit}"
