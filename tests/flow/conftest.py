# SPDX-License-Identifier: Apache-2.0
"""What a flow under test has around it: a world outside the database, and a journal in memory that counts its commits."""

from __future__ import annotations

import pytest

from tests.flow.driving import CountingJournal
from tests.flow.outside import Outside


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def journal() -> CountingJournal:
    return CountingJournal()
