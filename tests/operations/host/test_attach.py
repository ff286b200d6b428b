# SPDX-License-Identifier: Apache-2.0
"""What is refused before a host is asked for anything."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from breezeblock.model.errors import NotFound, WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.operations.host.attach import SILENT_SECONDS, attach
from breezeblock.store import history, services
from breezeblock.store.database import Store
from breezeblock.store.schema import processes
from tests.api import rows
from tests.operations.attachment.consumer import READONLY, of


def beats(store: Store, host: str, *queues: str, seconds_ago: int = 0) -> None:
    """A process of that host was last heard so long ago."""
    id = f"process-of-{host}"
    store.write_sync(
        lambda tx: services.seen(
            tx, id, host=host, pid=1, roles="agent", queues=queues, started_at="2026-11-21T07:43:43.000000"
        )
    )
    earlier = processes.c.seen_us - seconds_ago * 1_000_000
    store.write_sync(
        lambda tx: tx.execute(update(processes).where(processes.c.id == id).values(seen_us=earlier))
    )


def test_a_readonly_volume_becomes_no_device_for_writing(store: Store, member: Caller) -> None:
    volume = rows.volume(store, admin_metadata=READONLY)
    with pytest.raises(WrongStatus, match="read-only"):
        store.write_sync(lambda tx: attach(tx, member, volume, host="here", here="here"))
    assert (rows.seen(store, volume).status, of(store, volume)) == ("available", ())
    made, _ = store.write_sync(lambda tx: attach(tx, member, volume, host="here", here="here", mode="ro"))
    assert made.attach_mode == "ro"


def test_a_host_whose_agent_lives_is_asked(store: Store, member: Caller) -> None:
    volume = rows.volume(store)
    beats(store, "host1", "backend/x", "host/host1")
    made, operation = store.write_sync(lambda tx: attach(tx, member, volume, host="host1", here="here"))
    assert made.agent_host == "host1"
    assert store.read_sync(lambda tx: history.find_running(tx, operation)) == "host.attach"


@pytest.mark.parametrize(
    ("here", "had", "way_out"),
    [("here", "here, host1", "or attach to here or host1"), (None, "host1", "or attach to host1")],
)
def test_a_host_without_a_live_agent_is_refused_at_once_and_the_others_are_named(
    store: Store, member: Caller, here: str | None, had: str, way_out: str
) -> None:
    volume = rows.volume(store)
    beats(store, "host1", "host/host1")
    beats(store, "host2", "backend/x")
    beats(store, "host3", "host/host3", seconds_ago=SILENT_SECONDS + 5)
    for wanted in ("host2", "host3", "host9"):
        with pytest.raises(NotFound, match=f"No agent serves host {wanted}") as refused:
            store.write_sync(lambda tx, host=wanted: attach(tx, member, volume, host=host, here=here))  # type: ignore[misc]
        assert refused.value.had == had
        assert refused.value.remedy.endswith(f"{way_out}.")
    assert (rows.seen(store, volume).status, of(store, volume)) == ("available", ())


def test_without_any_agent_the_remedy_is_to_start_one(store: Store, member: Caller) -> None:
    volume = rows.volume(store)
    with pytest.raises(NotFound) as refused:
        store.write_sync(lambda tx: attach(tx, member, volume, host="host1"))
    assert (refused.value.had, refused.value.remedy) == (
        "none",
        "Start the service with the agent role on host1.",
    )
