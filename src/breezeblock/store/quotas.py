# SPDX-License-Identifier: Apache-2.0
"""Charges, usage and limits. Usage is the sum of charge rows; the usages row caches it inside the same transaction, and its lock makes
check and charge one step. A charge changes only with the row it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, delete, func, insert, select, update

from breezeblock.model.errors import OverQuota
from breezeblock.store.schema import charges, quota_classes, quotas, usages
from breezeblock.store.sql import locked, upsert
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
#: changes the default of any key for a project (the embedded administrator's project: unlimited).
ANY = "*"


def limits(tx: Tx, project_id: str) -> dict[str, int]:
    """Every known key's limit; keys that nobody limited (per type) are absent, which means unlimited."""
    classes = select(quota_classes.c.key, quota_classes.c.limit).where(quota_classes.c["class"] == "default")
    found = dict(DEFAULTS) | {row.key: int(row.limit) for row in tx.rows(classes)}
    own = {
        row.key: int(row.limit)
        for row in tx.rows(select(quotas.c.key, quotas.c.limit).where(quotas.c.project_id == project_id))
    }
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
    most = wanted.get("per_volume_gigabytes", -1)
    if size is not None and 0 <= most < size:
        raise OverQuota(
            f"Requested volume size {size}G is larger than the maximum allowed limit {most}G, it would exceed the quota",
            needed=f"{size} GiB per volume",
            had=f"a limit of {most} GiB",
        )
    current = _lock(tx, project_id, amounts)
    for key, amount in amounts.items():
        limit = wanted.get(key, -1)
        if amount > 0 and 0 <= limit < current[key] + amount:
            raise OverQuota(
                _over(key, amount, current[key], limit),
                needed=f"{amount} {key}",
                had=f"{limit - current[key]} left of {limit}",
                key=key,
            )
    tx.execute(
        insert(charges),
        [
            {
                "resource_id": resource_id,
                "key": key,
                "reason": reason,
                "project_id": project_id,
                "amount": amount,
            }
            for key, amount in amounts.items()
        ],
    )
    _store(tx, project_id, {key: current[key] + amount for key, amount in amounts.items()})


def discharge(tx: Tx, resource_id: str, *, reason: str | None = None) -> None:
    """Take a resource's charges back (all of them, or those of one reason). Absent is fine."""
    mine = charges.c.resource_id == resource_id
    if reason is not None:
        mine = and_(mine, charges.c.reason == reason)
    # locked: two that take the same charges back at once must not both subtract them
    rows = tx.rows(locked(tx, select(charges.c.project_id, charges.c.key, charges.c.amount).where(mine)))
    for project_id in sorted({row.project_id for row in rows}):
        amounts: dict[str, int] = {}
        for row in rows:
            if row.project_id == project_id:
                amounts[row.key] = amounts.get(row.key, 0) + int(row.amount)
        current = _lock(tx, project_id, amounts)
        _store(tx, project_id, {key: current[key] - amount for key, amount in amounts.items()})
    tx.execute(delete(charges).where(mine))


def fold(tx: Tx, resource_id: str, reason: str) -> None:
    """A difference that an operation held becomes part of the resource's own charge. The usage does not change."""
    held = and_(charges.c.resource_id == resource_id, charges.c.reason == reason)
    for row in tx.rows(locked(tx, select(charges).where(held))):
        own = and_(charges.c.resource_id == resource_id, charges.c.key == row.key, charges.c.reason == "")
        if tx.execute(update(charges).where(own).values(amount=charges.c.amount + row.amount)).rowcount == 0:
            # a key that the resource was not charged under before (its type has another name by now)
            tx.execute(update(charges).where(held, charges.c.key == row.key).values(reason=""))
    tx.execute(delete(charges).where(held))


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
    query = locked(
        tx,
        select(usages.c.key, usages.c.amount)
        .where(usages.c.project_id == project_id, usages.c.key.in_(names))
        .order_by(usages.c.key),
    )
    found = {row.key: int(row.amount) for row in tx.rows(query)}
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
            found = {row.key: int(row.amount) for row in tx.rows(query)}
    return {name: found.get(name, 0) for name in names}


def _store(tx: Tx, project_id: str, amounts: Mapping[str, int]) -> None:
    upsert(
        tx,
        usages,
        ("project_id", "key"),
        [{"project_id": project_id, "key": k, "amount": v} for k, v in sorted(amounts.items())],
    )


def _over(key: str, amount: int, current: int, limit: int) -> str:
    if "gigabytes" in key:
        return (
            f"Requested volume or snapshot exceeds allowed {key} quota. "
            f"Requested {amount}G, quota is {limit}G and {current}G has been consumed"
        )
    return f"Maximum number of {key} allowed ({limit}) would be exceeded by {amount} more"
