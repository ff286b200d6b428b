# SPDX-License-Identifier: Apache-2.0
"""Cinder 29.0.0 as it was measured on another machine of this kind (2 cores, shared with MariaDB, RabbitMQ and the load generator; no-op
volume driver; processor time of all its processes). Single runs: differences under 20 % are noise."""

from __future__ import annotations

import msgspec

NOTE = (
    "Cinder 29.0.0 with MariaDB 10.11 and RabbitMQ, no-op volume driver, measured once on another machine of this kind (2 cores); "
    "read the factor as an order of magnitude."
)


class Peer(msgspec.Struct, frozen=True):
    """`cpu_ms` per request; requests per second and p50 in ms at 1, 8 and 32 clients."""

    cpu_ms: float
    rates: tuple[float, float, float] | None = None
    p50_ms: tuple[float, float, float] | None = None


LIST = Peer(406, (2.5, 4.5, 4.3), (442, 1713, 5560))
GET = Peer(9, (100.6, 177, 118), (9, 36, 293))
CREATE = Peer(124, (15.2, 14.2, 13.6), (58, 536, 2156))
DEEP_PAGE = Peer(60, (15.7, 31.6, 31.5), (61, 235, 998))
#: until all of 200 are available, until all of 200 are gone: seconds; and CPU of the first, ms each.
BURST_SECONDS, BURST_CPU_MS, DELETE_SECONDS = 30.8, 235, 6.9
#: Seconds until the API answers, at best, and for the first time. MiB of API, scheduler, volume service, MariaDB and RabbitMQ, idle.
START_SECONDS, FIRST_START_SECONDS, RESIDENT_MIB = 1.3, 4.2, 286 + 133 + 252 + 117 + 123
