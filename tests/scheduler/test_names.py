# SPDX-License-Identifier: Apache-2.0
"""A wrong name stops the start, with the name that was meant."""

from __future__ import annotations

import pytest

from breezeblock.scheduler.filters import FILTERS
from breezeblock.scheduler.names import UnknownName, check
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.weighers import WEIGHERS


@pytest.mark.parametrize(
    ("policy", "meant"),
    [
        (Policy(filters=("capacitty",)), "did you mean 'capacity'?"),
        (Policy(filters=("CapabilityFilter",)), "did you mean 'capabilities'?"),
        (Policy(weighers=("good",)), "did you mean 'goodness'?"),
        (Policy(multipliers={"volume_numbers": 1.0}), "did you mean 'volume_number'?"),
        (Policy(weighers=("CapacityFilter",)), "there is no weigher named 'CapacityFilter'"),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(policy: Policy, meant: str) -> None:
    with pytest.raises(UnknownName, match="there is no") as caught:
        check(policy)
    assert meant in str(caught.value)
    assert "[scheduler]" in caught.value.remedy


def test_the_class_names_of_the_contract_are_understood() -> None:
    policy = check(
        Policy(
            filters=(
                "AvailabilityZoneFilter", "CapabilitiesFilter", "CapacityFilter", "DifferentBackendFilter",
                "DriverFilter", "InstanceLocalityFilter", "JsonFilter", "IgnoreAttemptedHostsFilter", "SameBackendFilter",
            ),
            weighers=(
                "AllocatedCapacityWeigher", "CapacityWeigher", "ChanceWeigher", "GoodnessWeigher", "VolumeNumberWeigher",
            ),
            multipliers={"CapacityWeigher": 2.0},
        )
    )  # fmt: skip
    assert set(policy.filters) == set(FILTERS)
    assert policy.weighers == tuple(sorted(WEIGHERS))
    assert policy.multipliers == {"capacity": 2.0}
    assert check(Policy(filters=("RetryFilter",))).filters == ("retry",)
