# SPDX-License-Identifier: Apache-2.0
"""Writes revision 0001 from schema.metadata: `python -m breezeblock.store.migrations.freeze`. Only until the first release; afterwards a
database in the field has been made by these files, so they must never change again."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sqlalchemy import Dialect, create_mock_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from breezeblock.store.schema import metadata

VERSIONS = Path(__file__).parent / "versions"
_URLS = {"sqlite": "sqlite://", "postgresql": "postgresql+psycopg://", "mariadb": "mariadb+pymysql://"}


def statements(name: str) -> list[str]:
    """The DDL of every table on one dialect, in the order in which foreign keys can be met."""
    dialect = create_mock_engine(_URLS[name], lambda *_: None).dialect
    found: list[str] = []
    for table in metadata.sorted_tables:
        created = str(CreateTable(table).compile(dialect=dialect))
        indexes = [
            str(CreateIndex(i).compile(dialect=dialect))
            for i in sorted(table.indexes, key=lambda i: str(i.name))
        ]
        if (
            name == "mariadb"
        ):  # DDL is not transactional there: a table comes whole or not at all, and a second try passes over it
            found.append(_tidy(_inlined(created, indexes, dialect)))
        else:
            found += [_tidy(text) for text in (created, *indexes)]
    return found


def _inlined(created: str, indexes: list[str], dialect: Dialect) -> str:
    keys = [re.sub(r"^CREATE INDEX (\S+) ON \S+ (\(.*\))$", r"KEY \1 \2", text.strip()) for text in indexes]
    body, close, options = created.rpartition("\n)")
    made = body.rstrip() + "".join(f",\n\t{key}" for key in keys) + close + options
    return made.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", 1)


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip().replace("\t", "    ") for line in text.strip().splitlines())


def text(name: str) -> str:
    return "-- SPDX-License-Identifier: Apache-2.0\n\n" + ";\n\n".join(statements(name)) + ";\n"


def path(name: str) -> Path:
    return VERSIONS / f"r0001_{name}.sql"


def main() -> int:
    for name in _URLS:
        path(name).write_text(text(name), encoding="ascii")
        print(path(name).name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
