# SPDX-License-Identifier: Apache-2.0
"""Alembic's script folder: how a database of an older version becomes one of this version. Revision 0001 is frozen DDL in three files of
SQL beside it, one per dialect, never made from schema.py at run time. Until the first release the schema may still change: then run
`python -m breezeblock.store.migrations.freeze`, which writes the three files anew. From the first release on a change of schema.py is a
new revision; a test compares what the revisions make with schema.metadata on all three databases."""
