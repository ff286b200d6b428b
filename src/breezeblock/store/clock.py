# SPDX-License-Identifier: Apache-2.0
"""Time. Leases and back-offs use the database's clock only, written once per dialect here; instants for people are UTC text made by
this process. Must never compare the two."""

from __future__ import annotations

from datetime import UTC, datetime

#: SQL expression: microseconds since the epoch by the database's clock.
NOW_US = {
    # SQLite 3.40 has no unixepoch('subsec'); julianday has millisecond precision.
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) * 1000",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
    # not UNIX_TIMESTAMP(NOW(6)): that goes through local time, which runs twice through an hour every autumn
    "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))",
}
NOW_US["mariadb"] = NOW_US["mysql"]


def utc_text(seconds: float | None = None) -> str:
    """Fixed width, no zone, six digits: sorts as it reads. `seconds` since the epoch, default now."""
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="microseconds")[:26]
