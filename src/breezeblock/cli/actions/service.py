# SPDX-License-Identifier: Apache-2.0
"""What `breezeblock serve`, `status`, `service list` and `pool list` do. `serve` is the one place where the command becomes the service:
it imports the composition root, and nothing else here does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from breezeblock.cli import render
from breezeblock.cli.session import Session


def serve(
    session: Session, *, config: Path | None, listen: str | None, data: Path | None, ready_file: Path | None
) -> int:
    from breezeblock.process import serve as run

    return run(config=config, listen=listen, data=data, ready_file=ready_file)


def status(session: Session) -> None:
    document = session.client.get("/breezeblock/status")
    session.show(document, described(document["status"], session.client.credentials.endpoint))


def list_services(session: Session) -> None:
    found = session.client.get("/os-services")["services"]
    rows = [
        [s["binary"], s["host"], s["zone"], s["status"], s["state"], render.clock(s["updated_at"])]
        for s in found
    ]
    session.show(
        {"services": found}, render.table(["SERVICE", "HOST", "ZONE", "STATUS", "STATE", "UPDATED"], rows)
    )


def list_pools(session: Session) -> None:
    found = session.client.get("/scheduler-stats/get_pools", detail=True)["pools"]
    rows = []
    for pool in found:
        facts = pool.get("capabilities") or {}
        numbers = [facts.get(f"{key}_capacity_gb") for key in ("total", "free", "allocated", "provisioned")]
        # "infinite" and "unknown" are words of the contract.
        row = [f"{number:.1f}" if isinstance(number, int | float) else number for number in numbers]
        rows.append(
            [pool["name"], *row, facts.get("max_over_subscription_ratio"), facts.get("backend_state")]
        )
    columns = ["POOL", "TOTAL GIB", "FREE GIB", "ALLOCATED", "PROVISIONED", "RATIO", "STATE"]
    session.show({"pools": found}, render.table(columns, rows, numbers=columns[1:6]))


def described(found: Mapping[str, Any], endpoint: str) -> str:
    operations = found.get("operations") or {}
    host = found.get("host") or {}
    lines = [
        render.record(
            [
                ("service", f"breezeblock {found['version']} at {endpoint}"),
                ("roles", found.get("roles")),
                (
                    "up since",
                    f"{render.clock(found.get('started_at'))} ({render.seconds(found.get('uptime_seconds'))})",
                ),
                ("memory", f"{found['memory_mib']:.0f} MiB" if found.get("memory_mib") else None),
                ("data folder", found.get("data_folder")),
                ("database", found.get("database")),
                ("host", host.get("name")),
                ("operations", ", ".join(f"{count} {state}" for state, count in operations.items())),
                ("attached", found.get("attached")),
            ]
        )
    ]
    backends = found.get("backends") or []
    rows = [[b.get("name") or b["id"], b["state"], b.get("reason")] for b in backends]
    lines += ["", render.table(["BACKEND", "STATE", "REASON"], rows)]
    lines += [f"warning: {text}" for text in found.get("warnings") or []]
    return "\n".join(lines)
