# SPDX-License-Identifier: Apache-2.0
"""Migration: what the revisions make is the schema; new, old, newer, foreign and killed databases; what a start pays for it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from breezeblock.model.errors import Failed, Unreachable
from breezeblock.store import migrate
from breezeblock.store.migrate import HEAD, RELEASED, Lineage, upgrade
from breezeblock.store.migrations import freeze
from breezeblock.store.schema import metadata

SECOND = """
from alembic import op
import sqlalchemy as sa
revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None
def upgrade():
    how = "always" if op.get_context().dialect.name == "sqlite" else "auto"  # SQLite: the table is made anew and filled
    with op.batch_alter_table("volumes", recreate=how) as table:
        table.add_column(sa.Column("colour", sa.String(10), nullable=False, server_default="grey"))
    op.execute("UPDATE volumes SET colour = 'blue'")
def downgrade():
    raise NotImplementedError
"""


@pytest.fixture
def next_version(tmp_path: Path) -> Lineage:
    """A later version of the service, with one revision more."""
    ours = Path(migrate.__file__).parent / "migrations"
    folder = tmp_path / "later"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text((ours / "env.py").read_text())
    for path in (ours / "versions").glob("r0001*"):
        (folder / "versions" / path.name).write_text(path.read_text())
    (folder / "versions" / "r0002_colour.py").write_text(SECOND)
    return Lineage(("0001", "0002"), str(folder))


def _query(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


def _one_volume(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(
            sa.insert(metadata.tables["volumes"]),
            {
                "id": "v1",
                "project_id": "p",
                "user_id": "u",
                "size": 1,
                "status": "available",
                "attach_status": "detached",
                "bootable": False,
                "multiattach": False,
                "consumes_quota": True,
                "metadata": "{}",
                "admin_metadata": "{}",
                "image_metadata": "{}",
                "object": "",
                "version": 1,
                "created_at": "2026-01-01T00:00:00.000000",
            },
        )


def _file(url: str) -> Path:
    return Path(str(sa.make_url(url).database))


# -- what they make -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sqlite", "postgresql", "mariadb"])
def test_the_frozen_first_revision_is_todays_schema(name: str) -> None:
    """Until the first release: run `python -m breezeblock.store.migrations.freeze` after a change of schema.py."""
    assert freeze.path(name).read_text() == freeze.text(name)


def test_the_lineage_that_the_service_knows_is_the_one_alembic_finds() -> None:
    config = Config()
    config.set_main_option("script_location", RELEASED.location)
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    assert tuple(reversed([r.revision for r in script.walk_revisions()])) == RELEASED.revisions
    assert script.get_heads() == [HEAD]


def test_a_migrated_database_is_the_schema(database_url: str) -> None:
    assert upgrade(database_url) == migrate.Upgraded(None, HEAD)
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata},
        )
        assert compare_metadata(context, metadata) == []


def test_quantities_are_checked_by_the_database(database_url: str) -> None:
    upgrade(database_url)
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    found = {}
    inspector = sa.inspect(engine)
    for table in metadata.tables.values():
        wanted = {c.name for c in table.constraints if isinstance(c, sa.CheckConstraint)}
        if wanted:
            found[table.name] = wanted - {c["name"] for c in inspector.get_check_constraints(table.name)}
    assert found == {"volumes": set(), "reservations": set()}
    with pytest.raises(sa.exc.DatabaseError), engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO reservations (id, pool_id, bytes) VALUES ('a', 'b', -1)"))


def test_names_are_told_apart_by_case_and_by_trailing_blanks(database_url: str) -> None:
    upgrade(database_url)
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    names = ["Ab", "ab", "ab ", "äb", "äB"]
    with engine.begin() as connection:
        for name in names:
            connection.execute(sa.insert(metadata.tables["counters"]), {"name": name, "value": 1})
        found = connection.execute(sa.select(metadata.tables["counters"].c.name)).scalars().all()
    assert sorted(found) == sorted(names)


# -- new, current, older, newer, foreign -------------------------------------------------------------------------------------


def test_a_second_start_changes_nothing(database_url: str) -> None:
    upgrade(database_url)
    assert upgrade(database_url) == migrate.Upgraded(HEAD, HEAD)


def test_a_current_database_is_known_without_importing_alembic(sqlite_url: str) -> None:
    upgrade(sqlite_url)
    program = (
        "import sys; from breezeblock.store.migrate import upgrade; "
        f"upgrade({sqlite_url!r}); print([m for m in sys.modules if m.startswith('alembic')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_an_older_database_is_migrated_with_its_rows(database_url: str, next_version: Lineage) -> None:
    upgrade(database_url)
    _one_volume(database_url)
    done = upgrade(database_url, lineage=next_version)
    assert (done.before, done.after) == ("0001", "0002")
    assert _query(database_url, "SELECT id, colour FROM volumes") == [("v1", "blue")]
    assert _query(database_url, "SELECT version_num FROM alembic_version") == [("0002",)]


def test_a_file_is_copied_before_it_is_migrated_and_a_server_is_not(
    database_url: str, next_version: Lineage
) -> None:
    upgrade(database_url)
    _one_volume(database_url)
    copy = upgrade(database_url, lineage=next_version).copy
    if not database_url.startswith("sqlite"):
        assert copy is None
        return
    assert copy == _file(database_url).with_name("breezeblock.sqlite.before-0002")
    assert copy.stat().st_mode & 0o777 == 0o600
    old = f"sqlite:///{copy}"
    assert _query(old, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert _query(old, "SELECT id FROM volumes") == [("v1",)]
    assert upgrade(old) == migrate.Upgraded(HEAD, HEAD), "the older version starts on the copy"


def test_a_copy_holds_what_is_still_in_the_write_ahead_log(sqlite_url: str, tmp_path: Path) -> None:
    upgrade(sqlite_url)
    busy = sqlite3.connect(_file(sqlite_url))
    busy.execute("INSERT INTO counters VALUES ('late', 7)")
    busy.commit()  # the connection stays open: nothing has been moved into the file itself
    migrate.copy_durably(_file(sqlite_url), tmp_path / "copy")
    busy.close()
    assert _query(f"sqlite:///{tmp_path / 'copy'}", "SELECT value FROM counters WHERE name = 'late'") == [
        (7,)
    ]
    assert sorted(p.name for p in tmp_path.glob("copy*")) == ["copy"]


def test_a_copy_that_fails_stops_the_migration(sqlite_url: str, next_version: Lineage) -> None:
    upgrade(sqlite_url)

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(Failed, match="nothing was changed"):
        upgrade(sqlite_url, backup=full, lineage=next_version)
    assert _query(sqlite_url, "SELECT version_num FROM alembic_version") == [("0001",)]


def test_a_newer_database_is_refused_untouched(database_url: str, next_version: Lineage) -> None:
    upgrade(database_url, lineage=next_version)
    with pytest.raises(Failed) as refused:
        upgrade(database_url)
    assert refused.value.needed == "revision 0001 or older"
    assert refused.value.had == "revision 0002"
    assert "before-0002" in refused.value.remedy
    assert _query(database_url, "SELECT version_num FROM alembic_version") == [("0002",)]


def test_a_database_of_something_else_is_refused_untouched(database_url: str) -> None:
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE their_own (id INTEGER)"))
    with pytest.raises(Failed, match="did not make"):
        upgrade(database_url)
    assert sa.inspect(engine).get_table_names() == ["their_own"]


def test_a_revision_that_orphans_rows_is_taken_back(sqlite_url: str, next_version: Lineage) -> None:
    upgrade(sqlite_url)
    _one_volume(sqlite_url)
    path = next(Path(next_version.location).glob("versions/r0002*"))
    path.write_text(path.read_text().replace("UPDATE volumes SET colour = 'blue'", "PRAGMA user_version"))
    path.write_text(
        path.read_text()
        + '\n_plain = upgrade\ndef upgrade():\n    _plain()\n    op.execute("INSERT INTO pools VALUES'
        " ('a', 'nobody', 'n', '', 0, 0, 0, '')\")\n"
    )
    with pytest.raises(Failed, match="without what they refer to"):
        upgrade(sqlite_url, lineage=next_version)
    assert _query(sqlite_url, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert _query(sqlite_url, "SELECT id FROM volumes") == [("v1",)]


def test_two_processes_that_start_at_once_make_one_database(database_url: str) -> None:
    results: list[object] = []

    def start() -> None:
        try:
            results.append(upgrade(database_url).after)
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert results == [HEAD] * 3


def test_a_server_that_is_down_is_told_as_such() -> None:
    with pytest.raises(Unreachable):
        upgrade("postgresql+psycopg://nobody@/nothing?host=/nonexistent")


# -- killed in the middle -----------------------------------------------------------------------------------------------------

_KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from breezeblock.store.migrate import Lineage, upgrade
url, location, revisions, after = sys.argv[1], sys.argv[2], tuple(sys.argv[3].split(",")), int(sys.argv[4])
seen = 0
@event.listens_for(Engine, "after_cursor_execute")
def count(connection, cursor, statement, parameters, context, many):
    global seen
    if statement.lstrip().upper().startswith(("CREATE", "ALTER", "INSERT", "DROP", "UPDATE", "-- ")):
        seen += 1
        if seen == after:
            os.kill(os.getpid(), signal.SIGKILL)
upgrade(url, lineage=Lineage(revisions, location))
"""


def _killed(url: str, lineage: Lineage, after: int) -> int:
    """Migrate in a process that is killed after so many changing statements. Its exit code."""
    argv = [sys.executable, "-c", _KILLED, url, lineage.location, ",".join(lineage.revisions), str(after)]
    return subprocess.run(argv, capture_output=True, timeout=120).returncode


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 2, 20, 50, 60])
def test_a_creation_that_was_killed_is_finished_by_the_next_start(
    after: int, request: pytest.FixtureRequest, database_url: str
) -> None:
    code = _killed(database_url, RELEASED, after)
    assert code in (-signal.SIGKILL, 0)
    assert upgrade(database_url).after == HEAD
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "target_metadata": metadata}
        )
        assert compare_metadata(context, metadata) == []


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 3, 5, 7])
def test_a_migration_that_was_killed_leaves_the_old_database_whole(
    after: int, sqlite_url: str, next_version: Lineage
) -> None:
    upgrade(sqlite_url)
    _one_volume(sqlite_url)
    assert _killed(sqlite_url, next_version, after) == -signal.SIGKILL
    assert upgrade(sqlite_url) == migrate.Upgraded(HEAD, HEAD), "the old version still starts"
    assert _query(sqlite_url, "SELECT id FROM volumes") == [("v1",)]
    assert _query(sqlite_url, "PRAGMA integrity_check") == [("ok",)]
    assert upgrade(sqlite_url, lineage=next_version).after == "0002"
    assert _query(sqlite_url, "SELECT id, colour FROM volumes") == [("v1", "blue")]


# -- what a start pays --------------------------------------------------------------------------------------------------------


def test_what_a_start_pays(sqlite_url: str) -> None:
    """Told, and bounded far above what is usual: the budget itself is the benchmark's."""
    began = time.perf_counter()
    upgrade(sqlite_url)
    new = time.perf_counter() - began
    began = time.perf_counter()
    upgrade(sqlite_url)
    existing = time.perf_counter() - began
    print(f"new {new * 1e3:.0f} ms, existing {existing * 1e3:.1f} ms")
    assert new < 5
    assert existing < 0.5
