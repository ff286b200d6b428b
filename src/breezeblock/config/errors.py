# SPDX-License-Identifier: Apache-2.0
"""The one error of the configuration, and the suggestion that goes with a name nobody knows."""

from __future__ import annotations

from collections.abc import Iterable

from breezeblock.model.errors import Error


class BadConfiguration(Error):
    """The service does not start on a configuration that it does not understand, or that would be unsafe."""

    code = "config.bad"
    summary = "The configuration cannot be used."
    default_remedy = (
        "Correct it (docs/CONFIGURATION.md lists every setting) and start again; nothing was changed."
    )


def unknown(what: str, name: str, there_are: Iterable[str]) -> BadConfiguration:
    """`what` says which kind of name and where: 'setting', 'section' ..."""
    import difflib  # only a mistake pays for it

    names = sorted(there_are)
    near = difflib.get_close_matches(name.rpartition(".")[2], names, n=1)
    meant = f" (did you mean '{near[0]}'?)" if near else ""
    return BadConfiguration(
        f"there is no {what} '{name}'{meant}", needed=f"one of {', '.join(names)}", had=f"'{name}'"
    )
