# SPDX-License-Identifier: Apache-2.0
"""The database's version at start: a new database is made at HEAD, an older one is migrated, a newer or a foreign one is refused untouched.

SQLite and PostgreSQL migrate in one transaction, so that a kill leaves the database as it was. MariaDB commits each DDL statement by
itself: revisions are written so that a second run passes over what is there. A SQLite file is first copied by the online backup to
`<file>.before-<revision>`, which is on the disk before the first change; servers are backed up by their own tools before an upgrade.
Two processes that start at once take turns. Alembic is imported only when there is something to do: it costs a tenth of the start."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from breezeblock.model.errors import Failed, Unreachable

#: alembic's table: one row with the revision.
_VERSION = "alembic_version"
#: how long a starting process waits for another one's migration, and PostgreSQL's number for it.
_PATIENCE_SECONDS, _LOCK = 600, 0x627265657A65


class Lineage(msgspec.Struct, frozen=True):
    """The revisions that a version of the service knows, oldest first, and where alembic finds them."""

    revisions: tuple[str, ...]
    location: str = "breezeblock.store:migrations"

    @property
    def head(self) -> str:
        return self.revisions[-1]


RELEASED = Lineage(("0001",))
HEAD = RELEASED.head


class Upgraded(msgspec.Struct, frozen=True):
    """`before` None: the database was new. `copy`: the file as it was, when there was something to keep."""

    before: str | None
    after: str
    copy: Path | None = None


def copy_durably(source: Path, target: Path) -> None:
    """The whole database as of one instant, by the online backup; complete and on the disk before it has its name."""
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(part)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")
    _sync(part)
    part.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def upgrade(
    url: str, *, backup: Callable[[Path, Path], None] = copy_durably, lineage: Lineage = RELEASED
) -> Upgraded:
    """Bring the database to the newest revision. Raises Failed (newer, foreign, not copied) and Unreachable; then nothing was changed."""
    parsed = make_url(url)
    file = Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None
    if file is not None and _peek(file) == lineage.head:
        return Upgraded(lineage.head, lineage.head)
    engine = _engine(parsed)
    try:
        if file is None and _asked(engine) == lineage.head:
            return Upgraded(lineage.head, lineage.head)
        with _turn(engine) as connection:
            before = _revision(connection, lineage)
            if before == lineage.head:
                return Upgraded(before, before)
            copy = None
            if file is not None and before is not None:
                copy = file.with_name(f"{file.name}.before-{lineage.head}")
                _backed_up(backup, file, copy)
            _migrate(connection, lineage)
            return Upgraded(before, lineage.head, copy)
    except OperationalError as error:
        if error.connection_invalidated or "connect" in str(error.orig).lower():
            raise Unreachable(
                f"the database does not answer: {error.orig}", remedy="Start the database, then the service."
            ) from error
        raise
    finally:
        engine.dispose()


# -- what is there ------------------------------------------------------------------------------------------------------------


def _peek(file: Path) -> str | None:
    """The revision of a SQLite file by one look, without SQLAlchemy; None when that is not enough to know."""
    if not file.exists():
        return None
    with (
        contextlib.closing(sqlite3.connect(file, timeout=30)) as connection,
        contextlib.suppress(sqlite3.DatabaseError),
    ):
        row = connection.execute(f"SELECT version_num FROM {_VERSION}").fetchone()  # noqa: S608 - a constant
        return None if row is None else str(row[0])
    return None


def _asked(engine: Engine) -> str | None:
    """The same of a server: one look without a lock, so that a current database holds up nobody's start."""
    with engine.connect() as connection, contextlib.suppress(ProgrammingError):
        found = connection.execute(text(f"SELECT version_num FROM {_VERSION}")).scalar_one_or_none()  # noqa: S608 - a constant
        return None if found is None else str(found)
    return None


def _revision(connection: Connection, lineage: Lineage) -> str | None:
    """The database's revision; None: it is new (or its creation was interrupted). Raises Failed for one that is not ours or newer."""
    tables = inspect(connection).get_table_names()
    if _VERSION not in tables:
        if tables:
            raise Failed(
                "the database holds tables that Breezeblock did not make",
                needed="an empty database, or one of Breezeblock's",
                had=", ".join(sorted(tables)[:5]),
                remedy="Point [database] url at a database of its own.",
            )
        return None
    found = connection.execute(text(f"SELECT version_num FROM {_VERSION}")).scalar_one_or_none()  # noqa: S608 - a constant
    if found is not None and found not in lineage.revisions:
        raise Failed(
            "the database was made by a newer version of Breezeblock; nothing was changed",
            needed=f"revision {lineage.head} or older",
            had=f"revision {found}",
            remedy=f"Start the newer version, or put back the copy that it made (<file>.before-{found}).",
        )
    return None if found is None else str(found)


# -- changing it --------------------------------------------------------------------------------------------------------------


def _migrate(connection: Connection, lineage: Lineage) -> None:
    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config(attributes={"connection": connection})
    config.set_main_option("path_separator", "os")
    config.set_main_option("script_location", lineage.location.replace("%", "%%"))
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise Failed(
                f"the migration would leave {len(broken)} rows without what they refer to; nothing was changed",
                had=broken[:3],
            )


def _backed_up(backup: Callable[[Path, Path], None], file: Path, copy: Path) -> None:
    try:
        backup(file, copy)
    except (OSError, sqlite3.Error) as error:
        raise Failed(
            f"the database could not be copied before its migration ({error}); nothing was changed",
            needed=f"room for {copy}",
            remedy="Free space beside the database, then start again.",
        ) from error


@contextlib.contextmanager
def _turn(engine: Engine) -> Iterator[Connection]:
    """One transaction, after every other process that migrates this database."""
    with engine.connect() as connection:
        match engine.dialect.name:
            case "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
            case (
                "mysql" | "mariadb"
            ):  # its own commits would end a transaction's lock: this one ends with the connection
                got = connection.execute(
                    text("SELECT GET_LOCK('breezeblock', :s)"), {"s": _PATIENCE_SECONDS}
                ).scalar_one()
                if got != 1:
                    raise Failed(
                        "another process has been migrating the database for ten minutes",
                        remedy="Look at that process.",
                    )
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.commit()


def _to_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for its lock here, where a second process may just be doing the same."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, poolclass=NullPool, isolation_level="READ COMMITTED")
    with contextlib.suppress(FileExistsError):
        os.close(os.open(str(url.database), os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": _PATIENCE_SECONDS})

    @event.listens_for(engine, "connect")
    def opened(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # DDL inside our own BEGIN
        _to_wal(connection)
        for pragma in ("synchronous=FULL", "foreign_keys=OFF"):
            connection.execute("PRAGMA " + pragma)

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
