# SPDX-License-Identifier: Apache-2.0
"""Every filter by its name. A filter is one function in one file: a request, a pool and the policy in, a Verdict out. It must never look
at another pool, keep anything between calls, or raise: what it cannot understand, it refuses with a sentence."""

from collections.abc import Callable

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decision import Verdict
from breezeblock.scheduler.filters.availability_zone import availability_zone
from breezeblock.scheduler.filters.capabilities import capabilities
from breezeblock.scheduler.filters.capacity import capacity
from breezeblock.scheduler.filters.different_backend import different_backend
from breezeblock.scheduler.filters.driver import driver
from breezeblock.scheduler.filters.instance_locality import instance_locality
from breezeblock.scheduler.filters.json_query import json_query
from breezeblock.scheduler.filters.retry import retry
from breezeblock.scheduler.filters.same_backend import same_backend
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest

Filter = Callable[[PlacementRequest, PoolState, Policy], Verdict]

FILTERS: dict[str, Filter] = {
    "availability_zone": availability_zone,
    "capabilities": capabilities,
    "capacity": capacity,
    "different_backend": different_backend,
    "driver": driver,
    "instance_locality": instance_locality,
    "json": json_query,
    "retry": retry,
    "same_backend": same_backend,
}
