# SPDX-License-Identifier: Apache-2.0
"""The labs themselves: a database is fresh, real, apart from the next one, and gone afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from tests.lab import databases


def _table() -> sa.Table:
    return sa.Table(
        "lab_row",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(60)),
    )


@pytest.mark.parametrize("turn", ["first", "second"])
def test_a_fresh_database_takes_a_table_and_keeps_a_row(database_url: str, turn: str) -> None:
    """Twice, because the second would fail on a table that the first had left."""
    engine = sa.create_engine(database_url)
    table = _table()
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(table.insert(), [{"id": 1, "name": f"{turn} \N{BRICK}"}])
    with engine.connect() as connection:
        assert connection.execute(sa.select(table.c.id, table.c.name)).all() == [(1, f"{turn} \N{BRICK}")]
    engine.dispose()


def test_the_url_names_the_dialect_that_the_product_uses(database_url: str) -> None:
    url = sa.make_url(database_url)
    assert url.drivername in {"sqlite", "postgresql+psycopg", "mariadb+pymysql"}


@pytest.mark.lab
@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_an_open_transaction_does_not_keep_a_database_alive(
    name: str, request: pytest.FixtureRequest
) -> None:
    server: str = request.getfixturevalue(f"{name}_server")
    with databases.fresh_database(server, "held") as url:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        connection = engine.connect()
        connection.execute(sa.text("CREATE TABLE held (id INTEGER)"))
        connection.commit()
        connection.execute(sa.text("INSERT INTO held VALUES (1)"))
    with databases.fresh_database(server, "held") as url:
        other = sa.create_engine(url, poolclass=sa.NullPool)
        with other.connect() as fresh:
            assert sa.inspect(fresh).get_table_names() == []
    connection.invalidate()


def _users_at_work(folder: Path) -> list[int]:
    """The effective user of each process that works in the folder."""
    users = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it ended while we looked
            if process.cwd().startswith(str(folder)):
                users.append(process.uids().effective)
    return users


@pytest.mark.lab
@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_a_lab_leaves_neither_process_nor_file(name: str, requires: Callable[..., None]) -> None:
    requires(name)
    lab = {"postgresql": databases.postgresql, "mariadb": databases.mariadb}[name]
    with lab(durable=False) as url:
        query = sa.make_url(url).query
        folder = Path(str(query["host"])) if name == "postgresql" else Path(str(query["unix_socket"])).parent
        users = _users_at_work(folder)
        assert users, "the server works in its own folder"
        assert 0 not in users
    assert _users_at_work(folder) == []
    assert not folder.exists()
