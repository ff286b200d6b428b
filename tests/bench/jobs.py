# SPDX-License-Identifier: Apache-2.0
"""The measurements of one database. Each takes turns with its floor, round by round, and reports medians; processor time is what counts,
because wall time belongs to the machine and its neighbours. Must never assert: a bench tells, tests refuse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from breezeblock.api.views.volume import OneVolume, VolumeDetailList
from tests.bench import peer, rows
from tests.bench.floor import Floor
from tests.bench.inside import Inside, Statement
from tests.bench.load import Job
from tests.bench.service import Measured, Service
from tests.bench.table import Row, median

CLIENTS, BUSY = (1, 8, 32), 8
#: Seconds between two looks whether a burst has ended: rare, because a look costs as much as what it waits for.
POLL = 0.1
VOLUME = {"volume": {"name": "measured", "size": 1, "metadata": {"purpose": "measured"}}}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything. `seconds` is of one round of load."""

    rounds: int = 5
    seconds: float = 2.0
    volumes: int = 1000
    deep: int = 1_000_000
    burst: int = 200


QUICK = Plan(rounds=2, seconds=0.5, deep=50_000, burst=50)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where one database's measurements happen. `fresh(name)` gives the URL of a new, empty database ("" for SQLite in the data folder)
    for as long as its context lasts."""

    folder: Path
    fresh: Callable[[str], Any]
    server: int | None = None

    @contextmanager
    def service(self, name: str, **more: Any) -> Iterator[Service]:
        with self.fresh(name) as url:
            made = Service(self.folder / name, url, database=self.server, **more)
            made.start()
            try:
                yield made
            finally:
                made.stop()


def url_of(service: Service) -> str:
    found = sorted((service.folder / "data").glob("*.sqlite*"))
    return (
        service.url or f"sqlite:///{next(path for path in found if path.suffix in ('.sqlite', '.sqlite3'))}"
    )


# -- reading -------------------------------------------------------------------------------------------------------------------


def reading(place: Place, plan: Plan) -> list[Row]:
    """The detail list of 1,000 volumes and GET one, beside their floors; an empty answer tells what HTTP alone costs."""
    with place.service("reading") as service:
        project = service.credentials["project_id"]
        rows.fill(url_of(service), project, plan.volumes)
        one = f"/v3/volumes/{rows.id_of(plan.volumes // 2)}"
        many = "/v3/volumes/detail"
        inside, floor = Inside(url_of(service), project), Floor(url_of(service), place.server)
        try:
            cold = inside.statements("GET", many)
            found = {
                "list": (many, *_recorded(inside, "GET", many, VolumeDetailList), 20),
                "get": (one, *_recorded(inside, "GET", one, OneVolume), 500),
            }
            took: dict[str, list[float]] = {}
            for _ in range(plan.rounds):
                for name, (path, statements, answer, times) in found.items():
                    took.setdefault(f"{name} floor", []).append(floor.read(statements, answer, times))
                    _rounds(took, service, plan, name, service.request("GET", path), 200)
                took.setdefault("cold floor", []).append(floor.read(cold, found["list"][2], 20))
                took.setdefault("cold cpu", []).append(_all_changed(service, many, 10))
                _rounds(
                    took,
                    service,
                    plan,
                    "health",
                    service.request("GET", "/healthcheck"),
                    200,
                    clients=(BUSY,),
                )
        finally:
            floor.close()
            inside.close()
    return [
        _cpu(took, f"detail list of {plan.volumes:,} volumes", "list", peer.LIST, target=2.0, of_floor=True),
        *_rates(took, "list", peer.LIST),
        _cpu(took, "the same, every row changed since", "cold", peer.LIST, target=2.0, of_floor=True),
        _cpu(took, "GET one volume", "get", peer.GET),
        *_rates(took, "get", peer.GET),
        _cpu(took, "GET /healthcheck: HTTP alone", "health", None),
    ]


def _all_changed(service: Service, path: str, times: int) -> float:
    """Microseconds of a list of which nothing is as the readers remember it."""
    spent = []
    for _ in range(times):
        rows.touch(url_of(service))
        before = service.cpu()
        status, _ = service.ask("GET", path)
        spent.append((service.cpu() - before) * 1e6)
        assert status == 200, status
    return median(spent)


def _recorded(
    inside: Inside, method: str, path: str, kind: Any, body: Any = None
) -> tuple[Sequence[Statement], Any]:
    """The statements of a request, as the driver gets them from the second time on, and the finished Struct of its answer."""
    answer = inside.ask(method, path, body)
    return inside.statements(method, path, body), msgspec.json.decode(answer.body, type=kind)


# -- writing -------------------------------------------------------------------------------------------------------------------


def accepting(place: Place, plan: Plan) -> list[Row]:
    """POST create as the API alone does it: checks, charge, row and operation durable, answered 202. Nobody works on them meanwhile."""
    with place.service("accepting", roles=("api",)) as service:
        project = service.credentials["project_id"]
        inside, floor = Inside(url_of(service), project), Floor(url_of(service), place.server)
        took: dict[str, list[float]] = {}
        try:
            statements, answer = _recorded(inside, "POST", "/v3/volumes", OneVolume, VOLUME)
            for _ in range(plan.rounds):
                took.setdefault("create floor", []).append(floor.write(statements, answer, 100))
                _rounds(took, service, plan, "create", service.request("POST", "/v3/volumes", VOLUME), 202)
        finally:
            floor.close()
            inside.close()
    return [
        _cpu(took, "POST create, accepted", "create", peer.CREATE, target=peer.CREATE.cpu_ms * 10),
        *_rates(took, "create", peer.CREATE),
    ]


def burst(place: Place, plan: Plan) -> list[Row]:
    """So many creates at once until all are available, then all deleted until gone: everything included, on real files."""
    took: dict[str, list[float]] = {}
    with place.service("burst") as service:
        for _ in range(max(1, plan.rounds // 2) + 1):
            service.ask("GET", "/v3/volumes")
            began, before = time.monotonic(), service.cpu()
            create = Job(
                port=service.port,
                requests=[service.request("POST", "/v3/volumes", VOLUME)],
                clients=8,
                total=plan.burst,
            )
            service.load(create, 202)
            _until(lambda: not _volumes(service, "?status=creating&limit=1"))
            spent = service.cpu() - before
            made = _volumes(service, f"?limit={plan.burst}")
            waits = sorted(_waited(service, plan.burst))
            took.setdefault("create seconds", []).append(time.monotonic() - began)
            took.setdefault("create cpu", []).append(spent / plan.burst * 1e3)
            took.setdefault("p50", []).append(waits[len(waits) // 2])
            took.setdefault("p99", []).append(waits[int(len(waits) * 0.99)])
            began, before = time.monotonic(), service.cpu()
            paths = [service.request("DELETE", f"/v3/volumes/{volume['id']}") for volume in made]
            service.load(Job(port=service.port, requests=paths, clients=8, once=True), 202)
            _until(lambda: not _volumes(service, "?limit=1"))
            took.setdefault("delete seconds", []).append(time.monotonic() - began)
            took.setdefault("delete cpu", []).append((service.cpu() - before) / plan.burst * 1e3)
        after = service.resident_mib()
    share = plan.burst / 200
    whole = plan.burst == 200

    def row(job: str, unit: str, key: str, theirs: float | None = None) -> Row:
        return Row(job=job, unit=unit, measured=median(took[key]), peer=theirs if whole else None)

    return [
        row(
            f"{plan.burst} creates at 8 clients until all available",
            "s",
            "create seconds",
            peer.BURST_SECONDS,
        ),
        row("  CPU each, everything included", "ms", "create cpu", peer.BURST_CPU_MS),
        row("  accepted to available, p50", "ms", "p50"),
        row("  accepted to available, p99", "ms", "p99"),
        row(
            f"{plan.burst} deletes at 8 clients until all gone",
            "s",
            "delete seconds",
            peer.DELETE_SECONDS * share,
        ),
        row("  CPU each, everything included", "ms", "delete cpu"),
        Row(job="resident memory after all that", unit="MiB", measured=after, target=120),
    ]


def _waited(service: Service, number: int) -> list[float]:
    """Milliseconds from the request's transaction to the one that made the volume available, of the newest so many creates."""
    _, document = service.ask("GET", f"/v3/breezeblock/operations?kind=volume.create&limit={number}")
    return [
        (
            datetime.fromisoformat(one["finished_at"]) - datetime.fromisoformat(one["created_at"])
        ).total_seconds()
        * 1e3
        for one in document["operations"]
        if one.get("finished_at")
    ]


def _volumes(service: Service, query: str) -> list[dict[str, Any]]:
    status, document = service.ask("GET", f"/v3/volumes{query}")
    if status != 200:
        raise RuntimeError(f"the list answered {status}: {document}")
    found: list[dict[str, Any]] = document["volumes"]
    return found


def _until(enough: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not enough():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not there within {seconds:g} s")
        time.sleep(POLL)


# -- many rows -----------------------------------------------------------------------------------------------------------------


def paging(place: Place, plan: Plan) -> list[Row]:
    """A page of 100 at the head of very many rows, and one far behind its marker."""
    with place.service("paging") as service:
        rows.fill(url_of(service), service.credentials["project_id"], plan.deep)
        # newest first: the marker a tenth from the end stands after nine tenths of all rows
        deep = f"/v3/volumes/detail?limit=100&marker={rows.id_of(plan.deep // 10)}"
        took: dict[str, list[float]] = {}
        for _ in range(plan.rounds):
            for name, path in (("first", "/v3/volumes/detail?limit=100"), ("deep", deep)):
                _rounds(took, service, plan, name, service.request("GET", path), 200, clients=(1,))
    first, far = (
        _cpu(took, f"first page of 100 in {plan.deep:,}", "first", peer.DEEP_PAGE),
        median(took["deep cpu 1"]),
    )
    return [
        first,
        Row(
            job=f"page of 100 after {plan.deep * 9 // 10:,} rows", unit="us CPU", measured=far, floor=first.measured, target=1.5,
            of_floor=True, note="floor: the first page",
        ),
    ]  # fmt: skip


# -- rounds --------------------------------------------------------------------------------------------------------------------


def _rounds(
    took: dict[str, list[float]],
    service: Service,
    plan: Plan,
    name: str,
    request: str,
    status: int,
    clients: Sequence[int] = CLIENTS,
) -> None:
    for number in clients:
        measured: Measured = service.load(
            Job(port=service.port, requests=[request], clients=number, seconds=plan.seconds), status
        )
        found = {
            "rate": measured.rate,
            "p50": measured.result.percentile(0.5) * 1e3,
            "p99": measured.result.percentile(0.99) * 1e3,
            "cpu": measured.cpu_us,
        }
        for what, value in found.items():
            took.setdefault(f"{name} {what} {number}", []).append(value)


def _cpu(
    took: dict[str, list[float]],
    job: str,
    name: str,
    theirs: peer.Peer | None,
    *,
    target: float | None = None,
    of_floor: bool = False,
) -> Row:
    """Processor time of a request: where it was loaded, at 8 clients, when the service is busy and wakes nobody."""
    floor = took.get(f"{name} floor")
    spent = took.get(f"{name} cpu {BUSY}") or took.get(f"{name} cpu 1") or took[f"{name} cpu"]
    return Row(
        job=job, unit="us CPU", measured=median(spent), floor=median(floor) if floor else None,
        peer=theirs.cpu_ms * 1e3 if theirs else None, target=target, of_floor=of_floor,
    )  # fmt: skip


def _rates(took: dict[str, list[float]], name: str, theirs: peer.Peer) -> list[Row]:
    made = []
    for i, number in enumerate(CLIENTS):
        p50, p99, cpu = (median(took[f"{name} {what} {number}"]) for what in ("p50", "p99", "cpu"))
        made.append(
            Row(
                job=f"  at {number} client{'s' if number > 1 else ''}", unit="/s", measured=median(took[f"{name} rate {number}"]),
                peer=theirs.rates[i] if theirs.rates else None, rises=True,
                note=f"p50 {p50:.2g} ms, p99 {p99:.2g} ms, {cpu:,.0f} us CPU",
            )
        )  # fmt: skip
    return made
