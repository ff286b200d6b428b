# SPDX-License-Identifier: Apache-2.0
"""Alembic's environment: runs revisions on the connection that store.migrate hands over, inside its transaction. Must never open one."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    render_as_batch=True,
    transactional_ddl=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
