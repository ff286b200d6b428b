# SPDX-License-Identifier: Apache-2.0
"""How `breezeblock completion` is spelled, and the command that its scripts call."""

from __future__ import annotations

from typing import Any

from breezeblock.cli.parser.words import leaf


def add(nouns: Any) -> None:
    completion = leaf(
        nouns, "completion", "completion:completion", "print the completion script for a shell", talks=False
    )
    completion.add_argument("shell", choices=["bash", "zsh", "fish"])
    # Not for people: no help line, so that it is not listed.
    words = nouns.add_parser("complete-words")
    words.set_defaults(action="completion:complete_words")
    words.add_argument("words", nargs="*")
