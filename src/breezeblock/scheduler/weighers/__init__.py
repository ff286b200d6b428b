# SPDX-License-Identifier: Apache-2.0
"""Every weigher by its name. A weigher is one function in one file: it measures all remaining pools at once and gives a number for each, in
their order. It must never drop a pool, and never give an infinity: the scale runs from the least to the greatest number it gives."""

from collections.abc import Callable, Sequence

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest
from breezeblock.scheduler.weighers.allocated_capacity import allocated_capacity
from breezeblock.scheduler.weighers.capacity import capacity
from breezeblock.scheduler.weighers.chance import chance
from breezeblock.scheduler.weighers.goodness import goodness
from breezeblock.scheduler.weighers.volume_number import volume_number

#: The last argument is the multiplier: its sign says whether much or little is wanted.
Weigher = Callable[[PlacementRequest, Sequence[PoolState], Policy, float], list[float]]

#: Each with the multiplier it has when the policy names none. Negative: the least is the best.
WEIGHERS: dict[str, tuple[Weigher, float]] = {
    "allocated_capacity": (allocated_capacity, -1.0),
    "capacity": (capacity, 1.0),
    "chance": (chance, 1.0),
    "goodness": (goodness, 1.0),
    "volume_number": (volume_number, -1.0),
}
