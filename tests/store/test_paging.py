# SPDX-License-Identifier: Apache-2.0
"""Pages: walked by marker they are the one sorted list, for every key and direction, with NULLs, ties and names of any script; filters
mean the same on every database."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.model.paging import Filter, PageQuery
from breezeblock.model.volume import Volume
from breezeblock.store import pools, snapshots, types, volumes
from breezeblock.store.database import Store
from breezeblock.store.schema import backends, volume_types
from breezeblock.store.schema import volumes as table
from breezeblock.store.transaction import Tx
from tests.store.rows import snapshot, volume

ONE_DATABASE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

# what PostgreSQL can hold: any text without NUL
texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=8)
names = st.one_of(
    st.none(), st.just(""), st.sampled_from(["a", "A", "a ", "ä", "Ä", "z", "\N{BRICK}", "名"]), texts
)
rows = st.fixed_dictionaries(
    {
        "name": names,
        "size": st.integers(1, 3),
        "status": st.sampled_from(["available", "in-use", "error"]),
        "bootable": st.booleans(),
        "shared_targets": st.one_of(st.none(), st.booleans()),
        "created_at": st.sampled_from([f"2026-01-0{n}T00:00:00.000000" for n in (1, 2)]),
        "availability_zone": st.one_of(st.none(), st.sampled_from(["nova", "zone2"])),
        "backend_id": st.one_of(st.none(), st.just("b")),
        "volume_type_id": st.one_of(st.none(), st.sampled_from(["t1", "t2"])),
    }
)
SORTABLE = [
    "name", "size", "status", "bootable", "shared_targets", "created_at", "availability_zone", "host", "volume_type", "id", "updated_at",
]  # fmt: skip
orders = st.lists(
    st.tuples(st.sampled_from(SORTABLE), st.sampled_from(["asc", "desc"])),
    max_size=3,
    unique_by=lambda pair: pair[0],
)


def _rank(value: Any) -> tuple[int, Any]:
    """NULL first, as the smallest; text and absent text are one."""
    if isinstance(value, bool):
        return 1, value
    return (0, "") if value is None or value == "" else (1, value)


def _sorted(found: list[Volume], order: list[tuple[str, str]]) -> list[str]:
    tie = next((d for n, d in order if n == "id"), order[0][1] if order else "desc")
    keys = [(n, d) for n, d in order if n != "id"] + [("id", tie)]
    out = list(found)
    for name, direction in reversed(keys):
        out.sort(key=lambda v, name=name: _rank(getattr(v, name)), reverse=direction == "desc")  # type: ignore[misc]
    return [v.id for v in out]


def _fill(store: Store, wanted: list[dict[str, Any]]) -> None:
    def write(tx: Tx) -> None:
        tx.execute(delete(table))
        for n, values in enumerate(wanted):
            volume(tx, id=f"00000000-0000-4000-8000-{n:012d}", **values)

    store.write_sync(write)


def _surroundings(tx: Tx) -> None:
    tx.execute(delete(table))
    tx.execute(delete(backends))
    tx.execute(delete(volume_types))
    pools.register(
        tx,
        {
            "id": "b", "name": "n", "host": "h", "driver": "file", "availability_zone": "nova", "host_bound": True,
            "capabilities": "{}", "state": "up",
        },
    )  # fmt: skip
    for id in ("t1", "t2"):
        given = {"id": id, "name": f"type {id}", "is_public": True, "extra_specs": "{}", "encryption": ""}
        tx.execute(volume_types.insert(), {**given, "created_at": tx.now})


def _walk(store: Store, order: list[tuple[str, str]], limit: int) -> list[str]:
    seen: list[str] = []
    marker = None
    for _ in range(100):
        query = PageQuery(sort=cast("Any", tuple(order)), limit=limit, marker=marker)
        page = store.read_sync(lambda tx, query=query: volumes.page(tx, query))  # type: ignore[misc]
        assert len(page) <= limit
        if not page:
            return seen
        seen += [v.id for v in page]
        marker = page[-1].id
    raise AssertionError("the pages do not end")


def _check(store: Store, wanted: list[dict[str, Any]], order: list[tuple[str, str]], limit: int) -> None:
    _fill(store, wanted)
    everything = store.read_sync(lambda tx: volumes.page(tx, PageQuery(limit=1000)))
    assert _walk(store, order, limit) == _sorted(everything, order)


@ONE_DATABASE
@given(wanted=st.lists(rows, max_size=10), order=orders, limit=st.integers(1, 4))
def test_pages_are_the_one_sorted_list(
    sqlite_store: Store, wanted: list[dict[str, Any]], order: list[tuple[str, str]], limit: int
) -> None:
    sqlite_store.write_sync(_surroundings)
    _check(sqlite_store, wanted, order, limit)


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
@settings(ONE_DATABASE, max_examples=30)
@given(wanted=st.lists(rows, max_size=8), order=orders, limit=st.integers(1, 4))
def test_pages_are_the_one_sorted_list_on_servers(
    server: str,
    request: pytest.FixtureRequest,
    wanted: list[dict[str, Any]],
    order: list[tuple[str, str]],
    limit: int,
) -> None:
    store = Store(request.getfixturevalue(f"migrated_{server}"))
    try:
        store.write_sync(_surroundings)
        _check(store, wanted, order, limit)
    finally:
        store.close()


@pytest.mark.parametrize("name", SORTABLE)
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_every_key_has_pages_on_every_database(store: Store, name: str, direction: str) -> None:
    store.write_sync(_surroundings)
    wanted: list[dict[str, Any]] = [
        {"name": None, "bootable": True, "shared_targets": None, "backend_id": "b", "volume_type_id": "t2"},
        {"name": "b", "bootable": False, "shared_targets": True, "backend_id": None, "volume_type_id": "t1"},
        {"name": "B", "bootable": True, "shared_targets": False, "backend_id": "b", "volume_type_id": None},
        {"name": "", "bootable": False, "shared_targets": True, "availability_zone": "nova"},
    ]
    _check(store, wanted, [(name, direction)], 1)


def test_an_unknown_marker_or_key_is_told(store: Store) -> None:
    mine = store.write_sync(lambda tx: volume(tx, project_id="p"))
    for query in (PageQuery(marker="nobody"), PageQuery(marker=mine, project_id="another")):
        with pytest.raises(NotFound, match="marker"):
            store.read_sync(lambda tx, query=query: volumes.page(tx, query))  # type: ignore[misc]
    with pytest.raises(BadRequest, match="Unknown key: colour") as refused:
        store.read_sync(lambda tx: volumes.page(tx, PageQuery(sort=(("colour", "asc"),))))
    assert "size" in str(refused.value.needed)


def test_a_project_sees_its_own_only(store: Store) -> None:
    mine = store.write_sync(lambda tx: [volume(tx, project_id=p) for p in ("p", "q", "P", "p ")])[0]
    found = store.read_sync(lambda tx: volumes.page(tx, PageQuery(project_id="p")))
    assert [v.id for v in found] == [mine]
    assert store.read_sync(lambda tx: volumes.count(tx, PageQuery(project_id="p"))) == 1


NAMES = ["alpha", "Alpha", "alpha ", "50%_off", "älpha", "", None]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter("name", "eq", "alpha"), {"alpha"}),
        (Filter("name", "eq", None), {None}),
        (Filter("name", "neq", "alpha"), {"Alpha", "alpha ", "50%_off", "älpha", "", None}),
        (Filter("name", "in", ("alpha", "50%_off")), {"alpha", "50%_off"}),
        (Filter("name", "in", ()), set()),
        (Filter("name", "like", "lpha"), {"alpha", "Alpha", "alpha ", "älpha"}),
        (Filter("name", "like", "ALPHA"), set()),
        (Filter("name", "like", "%_"), {"50%_off"}),
        (Filter("name", "gt", "alpha"), {"alpha ", "älpha"}),
        (Filter("size", "gte", 1), set(NAMES)),
        (Filter("size", "lt", 1), set()),
        (Filter("bootable", "eq", True), set()),
        (Filter("bootable", "eq", False), set(NAMES)),
    ],
)
def test_a_filter_means_the_same_everywhere(store: Store, wanted: Filter, found: set[str | None]) -> None:
    store.write_sync(lambda tx: [volume(tx, name=name) for name in NAMES])
    page = store.read_sync(lambda tx: volumes.page(tx, PageQuery(filters=(wanted,))))
    assert {v.name for v in page} == found
    assert store.read_sync(lambda tx: volumes.count(tx, PageQuery(filters=(wanted,)))) == len(page)


KEYS = [
    "plain",
    "with space",
    'quo"te',
    "back\\slash",
    "dot.ted",
    "$",
    "ä",
    "tab\there",
    "",
    "Plain",
    "a[0]",
    "new\nline",
]


def test_metadata_is_found_by_any_key_and_exact_value(store: Store) -> None:
    import msgspec

    def write(tx: Tx) -> None:
        for key in KEYS:
            volume(
                tx, name=key, metadata=msgspec.json.encode({key: f"value of {key}", "other": "x"}).decode()
            )

    store.write_sync(write)
    for key in KEYS:
        for value, number in ((f"value of {key}", 1), (f"VALUE OF {key}", 0), (f"value of {key} ", 0)):
            query = PageQuery(filters=(Filter("metadata", "meta", ((key, value), ("other", "x"))),))
            page = store.read_sync(lambda tx, query=query: volumes.page(tx, query))  # type: ignore[misc]
            assert [v.name for v in page] == [key] * number, (key, value)


def test_snapshots_page_by_their_volumes_zone_too(store: Store) -> None:
    def write(tx: Tx) -> list[str]:
        homes = [volume(tx, availability_zone=zone) for zone in ("b", None, "a")]
        return [snapshot(tx, home) for home in homes]

    b, none, a = store.write_sync(write)
    seen, marker = [], None
    for _ in range(3):
        query = PageQuery(sort=(("availability_zone", "asc"),), limit=1, marker=marker)
        (one,) = store.read_sync(lambda tx, query=query: snapshots.page(tx, query))  # type: ignore[misc]
        seen.append(one.id)
        marker = one.id
    assert seen == [none, a, b]


def test_types_that_are_private_are_seen_by_who_may(store: Store) -> None:
    from breezeblock.model.identity import Caller

    store.write_sync(lambda tx: types.create(tx, "hidden", is_public=False))
    stranger = Caller(user_id="u", project_id="p")
    admin = Caller(user_id="u", project_id="p", is_admin=True)

    def seen(caller: Caller) -> set[str]:
        return {t.name for t in store.read_sync(lambda tx: types.page(tx, PageQuery(), caller))}

    assert seen(stranger) == {"__DEFAULT__"}
    assert seen(admin) == {"__DEFAULT__", "hidden"}
    with pytest.raises(NotFound):
        store.read_sync(lambda tx: types.get(tx, "hidden", stranger))
