# SPDX-License-Identifier: Apache-2.0
"""Volumes by the thousand and the million, written by one SQL statement inside the database: for measurements that want rows, not the
work that makes them. Each row is what a finished create leaves (placed, available, described); must never be used by the product."""

from __future__ import annotations

from sqlalchemy import Connection, create_engine, text

#: Numbers 1..n, an id in the form of a UUID, and a rising instant, as each dialect spells them.
_SPELLED = {
    "sqlite": (
        "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {n})",
        "numbers",
        "printf('%08x-0000-4000-8000-%012x', (i * 2654435761) % 4294967296, i)",
        "strftime('%Y-%m-%dT%H:%M:%S', 1700000000 + i, 'unixepoch') || '.000000'",
    ),
    "postgresql": (
        "",
        "generate_series(1, {n}) AS numbers(i)",
        "lpad(to_hex((i::bigint * 2654435761) % 4294967296), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(i), 12, '0')",
        "to_char(to_timestamp(1700000000 + i) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') || '.000000'",
    ),
    "mysql": (
        "",
        "(SELECT seq AS i FROM seq_1_to_{n}) AS numbers",
        "concat(lower(lpad(hex((i * 2654435761) % 4294967296), 8, '0')), '-0000-4000-8000-', lower(lpad(hex(i), 12, '0')))",
        "concat(date_format(from_unixtime(1700000000 + i), '%Y-%m-%dT%H:%i:%S'), '.000000')",
    ),
}
_SPELLED["mariadb"] = _SPELLED["mysql"]

_TEXTS = {
    "status": "available", "attach_status": "detached", "availability_zone": "nova", "pool": "local",
    "description": "one of many volumes", "admin_metadata": "{}", "image_metadata": "{}", "metadata": '{"purpose":"measured"}',
    "object": '{"kind":"volume","id":"0","name":"volume-0","size":1073741824,"provider":{}}', "previous_status": "creating",
}  # fmt: skip
_FALSE, _TRUE = ("bootable", "multiattach"), ("consumes_quota",)


def fill(url: str, project_id: str, number: int) -> None:
    """So many volumes of a project, on the backend that is there, of the default type."""
    engine = create_engine(url)
    with engine.begin() as connection:
        _insert(connection, project_id, number)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # what the servers' own housekeeping would do soon; SQLite has none, and the service never says ANALYZE to it
        tidy = {"sqlite": "PRAGMA wal_checkpoint(TRUNCATE)", "postgresql": "VACUUM ANALYZE volumes"}
        connection.exec_driver_sql(tidy.get(engine.dialect.name, "ANALYZE TABLE volumes")).close()
    engine.dispose()


def touch(url: str) -> None:
    """Every volume changes, as by a write of the service."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE volumes SET version = version + 1"))
    engine.dispose()


def id_of(number: int) -> str:
    """The id of the n-th row (from 1, oldest first)."""
    return f"{number * 2654435761 % 4294967296:08x}-0000-4000-8000-{number:012x}"


def _insert(connection: Connection, project_id: str, number: int) -> None:
    head, numbers, id, instant = _SPELLED[connection.dialect.name]
    cells = {
        "id": id, "project_id": ":project", "user_id": ":project", "name": _joined(connection, "'volume-'", "i"), "size": "1",
        "volume_type_id": "(SELECT id FROM volume_types ORDER BY name LIMIT 1)", "version": "2",
        "backend_id": "(SELECT id FROM backends ORDER BY name LIMIT 1)", "created_at": instant, "updated_at": instant,
        "launched_at": instant, "status_since": instant, **{name: f":{name}" for name in _TEXTS},
        **dict.fromkeys(_FALSE, "false"), **dict.fromkeys(_TRUE, "true"),
    }  # fmt: skip
    statement = (
        f"INSERT INTO volumes ({', '.join(cells)}) {head} SELECT {', '.join(cells.values())} FROM {numbers}"
    )
    connection.execute(text(statement.replace("{n}", str(number))), {"project": project_id, **_TEXTS})


def _joined(connection: Connection, *parts: str) -> str:
    return f"concat({', '.join(parts)})" if "mysql" in connection.dialect.name else " || ".join(parts)
