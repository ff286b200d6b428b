# SPDX-License-Identifier: Apache-2.0
"""Keeps a volume on the machine of an instance (hint local_to_instance). The caller has asked the compute service for that machine;
when it could not be learnt, no pool is known to be local."""

from __future__ import annotations

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decision import Verdict
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest

NAME, HINT = "instance_locality", "local_to_instance"


def instance_locality(request: PlacementRequest, pool: PoolState, policy: Policy) -> Verdict:
    instance = request.hints.get(HINT)
    if not instance:
        return Verdict(NAME, True, f"no hint {HINT}")
    machine = request.instance_host
    if machine is None:
        detail = f"the machine of instance {instance} could not be learnt"
        return Verdict(NAME, False, detail, needed="the instance's machine", had="unknown")
    if pool.host_name == machine:
        return Verdict(
            NAME, True, f"it is on {machine}, as the instance is", needed=machine, had=pool.host_name
        )
    detail = f"the instance is on {machine}, the pool on {pool.host_name}"
    return Verdict(NAME, False, detail, needed=machine, had=pool.host_name)
