# SPDX-License-Identifier: Apache-2.0
"""Revision 0001: every table of the first release, as frozen SQL of the dialect at hand."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    frozen = Path(__file__).with_name(f"r0001_{'mariadb' if dialect == 'mysql' else dialect}.sql")
    connection = op.get_bind()
    for statement in frozen.read_text(encoding="ascii").split(";\n"):
        if statement.strip():
            connection.exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError(
        "an older version is served by the copy that was made before the upgrade, never by taking tables away"
    )
