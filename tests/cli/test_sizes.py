# SPDX-License-Identifier: Apache-2.0
"""Sizes as people spell them."""

import pytest

from breezeblock.cli.exits import USAGE, Ended
from breezeblock.cli.sizes import gib


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("10", 10),
        ("10G", 10),
        ("10g", 10),
        ("10GB", 10),
        ("10GiB", 10),
        ("10 GiB", 10),
        ("1T", 1024),
        ("1.5T", 1536),
    ]
    + [("1024M", 1), ("1048576k", 1), ("2147483647", 2147483647)],
)
def test_the_same_size_is_understood_in_every_spelling(text: str, whole: int) -> None:
    assert gib(text) == whole


@pytest.mark.parametrize(
    "text", ["0", "512M", "1.5G", "2147483648", "-1", "ten", "", "10X", "1e3", "0x10", "1 0"]
)
def test_what_is_not_whole_gib_is_refused_and_never_rounded(text: str) -> None:
    with pytest.raises(Ended) as why:
        gib(text)
    assert why.value.status == USAGE


def test_the_remedy_names_the_next_possible_size() -> None:
    with pytest.raises(Ended, match=r"Say 2G\."):
        gib("1.5G")
