# SPDX-License-Identifier: Apache-2.0
"""Charges, usage and limits. Usage is the sum of charge rows; the usages row caches it inside the same transaction, and its lock makes
check and charge one step. A charge changes only with the row it belongs to."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from breezeblock.model.errors import OverQuota
from breezeblock.store.prepared import Prepared, numbered, row_values, spread
from breezeblock.store.schema import charges, quota_classes, quotas, usages
from breezeblock.store.sql import locked, locking, upsert
from breezeblock.store.transaction import Tx

#: the defaults of the contract; quota class "default" and a project's own limits override them. -1: unlimited.
DEFAULTS: Mapping[str, int] = {
    "volumes": 10,
    "snapshots": 10,
    "gigabytes": 1000,
    "backups": 10,
    "backup_gigabytes": 1000,
    "groups": 10,
    "per_volume_gigabytes": -1,
}
#: what is counted once more per volume type, as key_type.
PER_TYPE = ("volumes", "gigabytes", "snapshots")
#: the reason of the difference that a running extend holds, until it becomes the volume's own charge or is taken back.
EXTENSION = "extend"
#: changes the default of any key for a project (the embedded administrator's project: unlimited).
ANY = "*"


def limits(tx: Tx, project_id: str) -> dict[str, int]:
    """Every known key's limit; keys that nobody limited (per type) are absent, which means unlimited."""
    rows = tx.rows(_LIMITS, {"project": project_id})
    found = dict(DEFAULTS) | {key: int(limit) for mine, key, limit in rows if not mine}
    own = {key: int(limit) for mine, key, limit in rows if mine}
    if ANY in own:
        found = dict.fromkeys(found, own.pop(ANY))
    return found | own


def class_limits(tx: Tx, name: str) -> dict[str, int]:
    rows = tx.rows(select(quota_classes.c.key, quota_classes.c.limit).where(quota_classes.c["class"] == name))
    return dict(DEFAULTS) | {row.key: int(row.limit) for row in rows}


def set_limits(tx: Tx, project_id: str, wanted: Mapping[str, int]) -> None:
    upsert(
        tx,
        quotas,
        ("project_id", "key"),
        [{"project_id": project_id, "key": k, "limit": v} for k, v in sorted(wanted.items())],
    )


def set_class_limits(tx: Tx, name: str, wanted: Mapping[str, int]) -> None:
    upsert(
        tx,
        quota_classes,
        ("class", "key"),
        [{"class": name, "key": k, "limit": v} for k, v in sorted(wanted.items())],
    )


def reset_limits(tx: Tx, project_id: str) -> None:
    tx.execute(delete(quotas).where(quotas.c.project_id == project_id))


def used(tx: Tx, project_id: str) -> dict[str, int]:
    return {
        row.key: int(row.amount)
        for row in tx.rows(select(usages.c.key, usages.c.amount).where(usages.c.project_id == project_id))
    }


def charge(
    tx: Tx,
    project_id: str,
    resource_id: str,
    amounts: Mapping[str, int],
    *,
    reason: str = "",
    size: int | None = None,
) -> None:
    """Charge a resource, all keys or none. `size` (GiB) is checked against per_volume_gigabytes. Raises OverQuota and changes nothing."""
    wanted = limits(tx, project_id)
    if size is not None:
        _within_one_volume(wanted, size)
    current = _lock(tx, project_id, amounts)
    _refuse_over(wanted, current, amounts)
    made = [
        {"resource_id": resource_id, "key": key, "reason": reason, "project_id": project_id, "amount": amount}
        for key, amount in amounts.items()
    ]
    tx.run(_charging(len(made)), spread(made))
    _store(tx, project_id, {key: current[key] + amount for key, amount in amounts.items()})


def discharge(tx: Tx, resource_id: str, *, reason: str | None = None) -> None:
    """Take a resource's charges back (all of them, or those of one reason). Absent is fine."""
    # locked: two that take the same charges back at once must not both subtract them
    rows = [row for row in tx.rows(_CHARGES, {"resource": resource_id}) if reason is None or row[1] == reason]
    for project_id in sorted({row[0] for row in rows}):
        amounts: dict[str, int] = {}
        for owner, _, key, amount in rows:
            if owner == project_id:
                amounts[key] = amounts.get(key, 0) + int(amount)
        current = _lock(tx, project_id, amounts)
        _store(tx, project_id, {key: current[key] - amount for key, amount in amounts.items()})
    if reason is None:
        tx.run(_DISCHARGE, {"resource": resource_id})
    else:
        tx.run(_DISCHARGE_ONE, {"resource": resource_id, "why": reason})


def fold(tx: Tx, resource_id: str, reason: str) -> None:
    """A difference that an operation held becomes part of the resource's own charge. The usage does not change."""
    held = and_(charges.c.resource_id == resource_id, charges.c.reason == reason)
    for row in tx.rows(locked(tx, select(charges).where(held))):
        own = and_(charges.c.resource_id == resource_id, charges.c.key == row.key, charges.c.reason == "")
        if tx.execute(update(charges).where(own).values(amount=charges.c.amount + row.amount)).rowcount == 0:
            # a key that the resource was not charged under before (its type has another name by now)
            tx.execute(update(charges).where(held, charges.c.key == row.key).values(reason=""))
    tx.execute(delete(charges).where(held))


def move(tx: Tx, resource_ids: Sequence[str], project_id: str, *, size: int) -> None:
    """Another project owns these resources from now on: their charges and the usage go there, all or none. `size` (GiB) of the volume
    among them. Raises OverQuota and changes nothing."""
    wanted = limits(tx, project_id)
    _within_one_volume(wanted, size)
    mine = charges.c.resource_id.in_(list(resource_ids))
    query = select(charges.c.project_id, charges.c.key, charges.c.amount).where(mine)
    rows = [row for row in tx.rows(locked(tx, query)) if row.project_id != project_id]
    taken: dict[str, dict[str, int]] = {}
    gained: dict[str, int] = {}
    for row in rows:
        owner = taken.setdefault(row.project_id, {})
        owner[row.key] = owner.get(row.key, 0) + int(row.amount)
        gained[row.key] = gained.get(row.key, 0) + int(row.amount)
    if not gained:
        return
    # one order for everybody who moves something between two projects
    usage = {name: _lock(tx, name, taken.get(name, gained)) for name in sorted({*taken, project_id})}
    _refuse_over(wanted, usage[project_id], gained)
    tx.execute(update(charges).where(mine).values(project_id=project_id))
    for owner_id, amounts in taken.items():
        _store(tx, owner_id, {key: usage[owner_id][key] - amount for key, amount in amounts.items()})
    _store(tx, project_id, {key: usage[project_id][key] + amount for key, amount in gained.items()})


def rename_type(tx: Tx, before: str, after: str) -> None:
    """The keys of a volume type follow its name: limits, charges and usage."""
    for prefix in PER_TYPE:
        old, new = f"{prefix}_{before}", f"{prefix}_{after}"
        # left over of an earlier type of that name: nothing is charged to it
        for table in (quotas, quota_classes, usages):
            tx.execute(delete(table).where(table.c.key == new))
        # usages before charges: who is charging holds the usage's lock, and its charges are seen once it is given back
        for table in (quotas, quota_classes, usages, charges):
            tx.execute(update(table).where(table.c.key == old).values(key=new))


def recount(tx: Tx) -> list[tuple[str, str, int, int]]:
    """(project, key, cached, counted) wherever the cached usage differs from the sum of charges. Changes nothing."""
    cached = {(r.project_id, r.key): int(r.amount) for r in tx.rows(select(usages))}
    counted = {
        (r.project_id, r.key): int(r.amount)
        for r in tx.rows(
            select(charges.c.project_id, charges.c.key, func.sum(charges.c.amount).label("amount")).group_by(
                charges.c.project_id, charges.c.key
            )
        )
    }
    keys = sorted(cached.keys() | counted.keys())
    return [
        (p, k, cached.get((p, k), 0), counted.get((p, k), 0))
        for p, k in keys
        if cached.get((p, k), 0) != counted.get((p, k), 0)
    ]


def _lock(tx: Tx, project_id: str, keys: Mapping[str, int] | Sequence[str]) -> dict[str, int]:
    """The usage of keys, with their rows locked (made when absent) in one order."""
    names = sorted(keys)
    wanted = {"project": project_id, **numbered("key", names)}
    found = {key: int(amount) for key, amount in tx.rows(_usages(len(names)), wanted)}
    absent = [name for name in names if name not in found]
    if absent:
        upsert(
            tx,
            usages,
            ("project_id", "key"),
            [{"project_id": project_id, "key": n, "amount": 0} for n in absent],
            keep=("amount",),
        )
        if tx.dialect != "sqlite":
            found = {key: int(amount) for key, amount in tx.rows(_usages(len(names)), wanted)}
    return {name: found.get(name, 0) for name in names}


def _store(tx: Tx, project_id: str, amounts: Mapping[str, int]) -> None:
    """Of keys that `_lock` has made."""
    if amounts:
        keys, now = list(amounts), list(amounts.values())
        tx.run(_using(len(keys)), {"project": project_id, **numbered("key", keys), **numbered("now", now)})


@functools.cache
def _charging(number: int) -> Prepared:
    return Prepared(insert(charges).values(row_values(charges.columns.keys(), number)))


@functools.cache
def _using(number: int) -> Prepared:
    """The amounts of so many keys of a project."""
    keys: list[ColumnElement[str]] = [bindparam(f"key{n}") for n in range(number)]
    amounts = [bindparam(f"now{n}", type_=BigInteger) for n in range(number)]
    now = case(dict(zip(keys, amounts, strict=True)), value=usages.c.key)
    mine = and_(usages.c.project_id == bindparam("project"), usages.c.key.in_(keys))
    return Prepared(update(usages).where(mine).values(amount=now))


@functools.cache
def _usages(number: int) -> Prepared:
    """The rows of so many keys, locked."""
    return locking(
        select(usages.c.key, usages.c.amount)
        .where(
            usages.c.project_id == bindparam("project"),
            usages.c.key.in_([bindparam(f"key{n}") for n in range(number)]),
        )
        .order_by(usages.c.key)
    )


_LIMITS = Prepared(
    select(literal(0).label("mine"), quota_classes.c.key, quota_classes.c.limit)
    .where(quota_classes.c["class"] == "default")
    .union_all(
        select(literal(1), quotas.c.key, quotas.c.limit).where(quotas.c.project_id == bindparam("project"))
    )
)
_CHARGES = locking(
    select(charges.c.project_id, charges.c.reason, charges.c.key, charges.c.amount).where(
        charges.c.resource_id == bindparam("resource")
    )
)
_DISCHARGE = Prepared(delete(charges).where(charges.c.resource_id == bindparam("resource")))
_DISCHARGE_ONE = Prepared(
    delete(charges).where(
        charges.c.resource_id == bindparam("resource"), charges.c.reason == bindparam("why")
    )
)


def _within_one_volume(limits: Mapping[str, int], size: int) -> None:
    most = limits.get("per_volume_gigabytes", -1)
    if 0 <= most < size:
        raise OverQuota(
            f"Requested volume size {size}G is larger than the maximum allowed limit {most}G, it would exceed the quota",
            needed=f"{size} GiB per volume",
            had=f"a limit of {most} GiB",
        )


def _refuse_over(limits: Mapping[str, int], current: Mapping[str, int], amounts: Mapping[str, int]) -> None:
    for key, amount in amounts.items():
        limit = limits.get(key, -1)
        if amount > 0 and 0 <= limit < current[key] + amount:
            raise OverQuota(
                _over(key, amount, current[key], limit),
                needed=f"{amount} {key}",
                had=f"{limit - current[key]} left of {limit}",
                key=key,
            )


def _over(key: str, amount: int, current: int, limit: int) -> str:
    if "gigabytes" in key:
        return (
            f"Requested volume or snapshot exceeds allowed {key} quota. "
            f"Requested {amount}G, quota is {limit}G and {current}G has been consumed"
        )
    return f"Maximum number of {key} allowed ({limit}) would be exceeded by {amount} more"
