# SPDX-License-Identifier: Apache-2.0
"""How an operator wants placements decided: which filters, which weighers, how much each counts. Its names are checked once, at start-up
(names.check), so that deciding never meets a wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The defaults are the contract's, with `retry` added: without it a retry could go straight back to the backend that failed."""

    filters: tuple[str, ...] = ("availability_zone", "capacity", "capabilities", "retry")
    weighers: tuple[str, ...] = ("capacity",)
    #: By weigher; a name that is missing counts with its own default. Negative: less is better.
    multipliers: Mapping[str, float] = {}
    #: ordered: the heaviest wins. stochastic: the winner is drawn in proportion to the weights.
    weight_handler: Literal["ordered", "stochastic"] = "ordered"
    #: For pools that do not say. 1.0 never promises more than there is.
    max_over_subscription_ratio: float | str = 1.0
    #: 1 disables retries.
    max_attempts: int = 3
