# SPDX-License-Identifier: Apache-2.0
"""Every table, once, for SQLite, PostgreSQL and MariaDB. Ids are text UUIDs, instants that are compared by the engine are integers
(microseconds of the database's clock), instants that people read are fixed-width UTC text, open-ended facts are JSON text. Quantities
have CHECKs. Must never hold a query."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: MariaDB: case and trailing blanks count, as everywhere else. Written for both names that SQLAlchemy has for the dialect.
_OPTIONS = {
    f"{dialect}_{name}": value
    for dialect in ("mysql", "mariadb")
    for name, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_nopad_bin"))
}

_Json = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
#: autoincrement keys: SQLite wants INTEGER for that.
_Serial = BigInteger().with_variant(Integer(), "sqlite")


def _id() -> String:
    return String(36)


def _name() -> String:
    return String(255)


def _quota_key() -> String:
    """What is counted, with the name of a type after it."""
    return String(300)


#: 2026-11-21T07:43:43.000000
def _time() -> String:
    return String(26)


def _table(name: str, *parts: SchemaItem) -> Table:
    return Table(name, metadata, *parts, **_OPTIONS)  # type: ignore[no-any-return, call-overload]


# -- where things are ----------------------------------------------------------------------------------------------------

backends = _table(
    "backends",
    Column("id", _id(), primary_key=True),
    Column("name", _name(), nullable=False),
    #: the host part of the API's host string; a renamed host changes this row only.
    Column("host", _name(), nullable=False),
    Column("driver", String(64), nullable=False),
    Column("availability_zone", _name(), nullable=False),
    Column("host_bound", Boolean, nullable=False),
    Column("capabilities", _Json, nullable=False),
    #: up | down, with the reason of the last failed start.
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_reason", _name()),
    Column("frozen", Boolean, nullable=False),
    Column("updated_at", _time(), nullable=False),
    UniqueConstraint("host", "name"),
)

pools = _table(
    "pools",
    Column("id", _name(), primary_key=True),
    Column("backend_id", _id(), ForeignKey("backends.id", ondelete="CASCADE"), nullable=False),
    Column("name", _name(), nullable=False),
    Column("report", _Json, nullable=False),
    Column("sampled_us", BigInteger, nullable=False),
    #: what the database had there at the report, volumes being made left out: reservations tell of them.
    Column("volumes", Integer, nullable=False),
    Column("allocated_gib", BigInteger, nullable=False),
    Column("updated_at", _time(), nullable=False),
    UniqueConstraint("backend_id", "name"),
)

reservations = _table(
    "reservations",
    Column("id", String(64), primary_key=True),
    Column("pool_id", _name(), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    #: set when the operation ends; the first report sampled after it removes the row.
    Column("ended_us", BigInteger),
    CheckConstraint("bytes >= 0", name="bytes"),
    Index(None, "pool_id"),
)

decisions = _table(
    "decisions",
    Column("id", String(64), primary_key=True),
    Column("resource_id", _id(), nullable=False),
    Column("operation_id", _id(), nullable=False),
    Column("decision", _Json, nullable=False),
    Column("created_at", _time(), nullable=False),
    Index(None, "resource_id", "created_at"),
)

processes = _table(
    "processes",
    Column("id", _id(), primary_key=True),
    Column("host", _name(), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("roles", _name(), nullable=False),
    Column("queues", _Json, nullable=False),
    Column("started_at", _time(), nullable=False),
    Column("seen_us", BigInteger, nullable=False),
)

services = _table(
    "services",
    Column("id", _id(), primary_key=True),
    Column("binary", _name(), nullable=False),
    Column("host", _name(), nullable=False),
    Column("backend_id", _id()),
    Column("availability_zone", _name(), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("disabled_reason", _name()),
    Column("created_at", _time(), nullable=False),
    Column("updated_at", _time(), nullable=False),
    Column("seen_us", BigInteger, nullable=False),
    UniqueConstraint("binary", "host"),
)

# -- what people own -----------------------------------------------------------------------------------------------------

qos_specs = _table(
    "qos_specs",
    Column("id", _id(), primary_key=True),
    Column("name", _name(), nullable=False, unique=True),
    Column("consumer", String(16), nullable=False),
    Column("specs", _Json, nullable=False),
    Column("created_at", _time(), nullable=False),
    Column("updated_at", _time()),
)

volume_types = _table(
    "volume_types",
    Column("id", _id(), primary_key=True),
    Column("name", _name(), nullable=False, unique=True),
    Column("description", _name()),
    Column("is_public", Boolean, nullable=False),
    Column("qos_specs_id", _id(), ForeignKey("qos_specs.id")),
    Column("extra_specs", _Json, nullable=False),
    #: model.volume_type.Encryption; "" for a type that does not encrypt.
    Column("encryption", _Json, nullable=False),
    Column("created_at", _time(), nullable=False),
    Column("updated_at", _time()),
)

volume_type_access = _table(
    "volume_type_access",
    Column("volume_type_id", _id(), ForeignKey("volume_types.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", _name(), primary_key=True),
)

group_types = _table(
    "group_types",
    Column("id", _id(), primary_key=True),
    Column("name", _name(), nullable=False, unique=True),
    Column("description", _name()),
    Column("is_public", Boolean, nullable=False),
    Column("group_specs", _Json, nullable=False),
    Column("created_at", _time(), nullable=False),
    Column("updated_at", _time()),
)

#: the type that a project's volumes get when nobody names one.
default_types = _table(
    "default_types",
    Column("project_id", _name(), primary_key=True),
    Column("volume_type_id", _id(), ForeignKey("volume_types.id"), nullable=False),
    Column("created_at", _time(), nullable=False),
    Column("updated_at", _time()),
)

volumes = _table(
    "volumes",
    Column("id", _id(), primary_key=True),
    Column("project_id", _name(), nullable=False),
    Column("user_id", _name(), nullable=False),
    Column("name", _name()),
    Column("description", _name()),
    Column("size", Integer, nullable=False),
    Column("status", String(64), nullable=False),
    Column("previous_status", String(64)),
    Column("attach_status", String(64), nullable=False),
    Column("migration_status", String(128)),
    Column("availability_zone", _name()),
    Column("volume_type_id", _id(), ForeignKey("volume_types.id")),
    Column("snapshot_id", _id()),
    Column("source_volid", _id()),
    Column("bootable", Boolean, nullable=False),
    Column("multiattach", Boolean, nullable=False),
    Column("encryption_key_id", _id()),
    Column("replication_status", String(64)),
    Column("consistencygroup_id", _id()),
    Column("group_id", _id()),
    Column("provider_id", _name()),
    Column("shared_targets", Boolean),
    Column("service_uuid", _id()),
    Column("cluster_name", _name()),
    Column("consumes_quota", Boolean, nullable=False),
    Column("backend_id", _id()),
    Column("pool", _name()),
    Column("name_id", _id()),
    Column("metadata", _Json, nullable=False),
    Column("admin_metadata", _Json, nullable=False),
    Column("image_metadata", _Json, nullable=False),
    Column("object", _Json, nullable=False),
    Column("operation_id", _id()),
    Column("status_since", _time()),
    Column("version", Integer, nullable=False),
    Column("launched_at", _time()),
    Column("created_at", _time(), nullable=False),
    Column("updated_at", _time()),
    CheckConstraint("size >= 0", name="size"),
    Index("ix_volumes_project", "project_id", "created_at", "id"),
    Index("ix_volumes_created", "created_at", "id"),
    Index("ix_volumes_project_name", "project_id", "name"),
    Index("ix_volumes_backend", "backend_id", "pool"),
    Index("ix_volumes_type", "volume_type_id"),
)

snapshots = _table(
    "snapshots",
    Column("id", _id(), primary_key=True),
    Column("volume_id", _id(), ForeignKey("volumes.id"), nullable=False),
    Column("project_id", _name(), nullable=False),
    Column("user_id", _name(), nullable=False),
    Column("name", _name()),
    Column("description", _name()),
    Column("size", Integer, nullable=False),
    Column("status", String(64), nullable=False),
    Column("progress", String(16), nullable=False),
    Column("volume_type_id", _id()),
    Column("group_snapshot_id", _id()),
    Column("consumes_quota", Boolean, nullable=False),
    Column("metadata", _Json, nullable=False),
    Column("object", _Json, nullable=False),
    Column("operation_id", _id()),
    Column("status_since", _time()),
    Column("version", Integer, nullable=False),
    Column("created_at", _time(), nullable=False),
    Column("updated_at", _time()),
    Index("ix_snapshots_volume", "volume_id"),
    Index("ix_snapshots_project", "project_id", "created_at", "id"),
)

attachments = _table(
    "attachments",
    Column("id", _id(), primary_key=True),
    Column("volume_id", _id(), ForeignKey("volumes.id"), nullable=False),
    Column("project_id", _name(), nullable=False),
    Column("instance_uuid", _id()),
    Column("attached_host", _name()),
    Column("mountpoint", _name()),
    Column("attach_mode", String(36), nullable=False),
    Column("attach_status", String(64), nullable=False),
    Column("connector", _Json, nullable=False),
    Column("connection", _Json, nullable=False),
    Column("attach_time", _time()),
    Column("detach_time", _time()),
    Column("operation_id", _id()),
    Column("agent_host", _name()),
    Column("device", _Json, nullable=False),
    Column("boot_id", String(64)),
    #: the target's Export as JSON; "" while there is none.
    Column("export", _Json, nullable=False),
    Column("created_at", _time(), nullable=False),
    Column("updated_at", _time()),
    Index("ix_attachments_volume", "volume_id"),
    Index("ix_attachments_project", "project_id", "created_at", "id"),
    Index("ix_attachments_agent", "agent_host"),
)

#: offers of a volume to another project; gone once accepted or taken back.
transfers = _table(
    "transfers",
    Column("id", _id(), primary_key=True),
    Column("volume_id", _id(), ForeignKey("volumes.id", ondelete="CASCADE"), nullable=False, unique=True),
    #: who offers.
    Column("project_id", _name(), nullable=False),
    Column("name", _name()),
    #: the key itself is shown once and stored nowhere.
    Column("key_salt", String(64), nullable=False),
    Column("key_hash", String(64), nullable=False),
    Column("no_snapshots", Boolean, nullable=False),
    Column("created_at", _time(), nullable=False),
    Index("ix_transfers_project", "project_id", "created_at", "id"),
)

messages = _table(
    "messages",
    Column("id", _id(), primary_key=True),
    Column("project_id", _name(), nullable=False),
    Column("request_id", _name()),
    Column("resource_type", String(36)),
    Column("resource_uuid", _id()),
    Column("event_id", _name(), nullable=False),
    Column("level", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", _time(), nullable=False),
    Column("expires_at", _time(), nullable=False),
    Index("ix_messages_project", "project_id", "created_at", "id"),
    Index("ix_messages_resource", "resource_uuid"),
)

# -- what they may and do use ----------------------------------------------------------------------------------------------

quotas = _table(
    "quotas",
    Column("project_id", _name(), primary_key=True),
    Column("key", _quota_key(), primary_key=True),
    Column("limit", BigInteger, nullable=False),
)

quota_classes = _table(
    "quota_classes",
    Column("class", _name(), primary_key=True),
    Column("key", _quota_key(), primary_key=True),
    Column("limit", BigInteger, nullable=False),
)

charges = _table(
    "charges",
    Column("resource_id", _id(), primary_key=True),
    Column("key", _quota_key(), primary_key=True),
    #: "" for the row's own charge, quotas.EXTENSION for a difference that a running operation holds.
    Column("reason", String(32), primary_key=True),
    Column("project_id", _name(), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Index("ix_charges_project", "project_id", "key"),
)

#: the sum of charges, kept in the same transaction; also the row whose lock makes the check and the charge one step.
usages = _table(
    "usages",
    Column("project_id", _name(), primary_key=True),
    Column("key", _quota_key(), primary_key=True),
    Column("amount", BigInteger, nullable=False),
)

# -- the engine ------------------------------------------------------------------------------------------------------------

counters = _table(
    "counters",
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

operations = _table(
    "operations",
    Column("seq", _Serial, primary_key=True, autoincrement=True),
    Column("id", _id(), nullable=False, unique=True),
    Column("kind", String(64), nullable=False),
    Column("resource_type", String(36), nullable=False),
    Column("resource_id", _id(), nullable=False),
    Column("project_id", _name(), nullable=False),
    Column("user_id", _name(), nullable=False),
    Column("request_id", _name(), nullable=False),
    Column("args", _Json, nullable=False),
    Column("tasks", _Json, nullable=False),
    Column("pivot", String(64)),
    Column("queue", _name(), nullable=False),
    #: 0 interactive (connections), 1 bulk.
    Column("lane", Integer, nullable=False),
    #: waits for keys held by another operation: not to be claimed.
    Column("blocked", Boolean, nullable=False),
    Column("undo_to", String(64), nullable=False),
    Column("round", Integer, nullable=False),
    Column("task", String(64), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("not_before_us", BigInteger, nullable=False),
    Column("lease_owner", _id()),
    Column("lease_until_us", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("cancel", Boolean, nullable=False),
    Column("error", _Json, nullable=False),
    Column("failures", _Json, nullable=False),
    Column("progress_done", BigInteger, nullable=False),
    Column("progress_total", BigInteger, nullable=False),
    Column("created_at", _time(), nullable=False),
    Column("started_at", _time()),
    Index("ix_operations_claim", "queue", "lane", "blocked", "not_before_us"),
    Index("ix_operations_owner", "lease_owner"),
    Index("ix_operations_resource", "resource_id"),
)

journal = _table(
    "journal",
    Column("operation_id", _id(), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("task", String(64), primary_key=True),
    Column("step", String(16), nullable=False),
    Column("intent", _Json, nullable=False),
    Column("result", _Json, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", _time(), nullable=False),
    Column("updated_at", _time(), nullable=False),
)

operation_keys = _table(
    "operation_keys",
    Column("operation_id", _id(), primary_key=True),
    Column("key", String(190), primary_key=True),
    Column("exclusive", Boolean, nullable=False),
    Column("granted", Boolean, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Index("ix_operation_keys_key", "key", "seq"),
)

history = _table(
    "operation_history",
    Column("id", _id(), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("resource_id", _id(), nullable=False),
    Column("project_id", _name(), nullable=False),
    Column("state", String(16), nullable=False),
    #: the whole operation with its timeline.
    Column("document", _Json, nullable=False),
    Column("finished_at", _time(), nullable=False),
    Index("ix_operation_history_resource", "resource_id", "finished_at"),
    Index("ix_operation_history_project", "project_id", "finished_at", "id"),
    Index("ix_operation_history_finished", "finished_at", "id"),
)

debts = _table(
    "debts",
    Column("id", _id(), primary_key=True),
    Column("queue", _name(), nullable=False),
    Column("operation_id", _id(), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("task", String(64), nullable=False),
    #: the operation's Work as it was: args, results, intent.
    Column("work", _Json, nullable=False),
    Column("error", _Json, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("not_before_us", BigInteger, nullable=False),
    Column("created_at", _time(), nullable=False),
    Index(None, "queue"),
)

findings = _table(
    "findings",
    Column("id", _id(), primary_key=True),
    Column("resource_id", _id(), nullable=False),
    Column("operation_id", _id()),
    Column("code", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", _time(), nullable=False),
    Index(None, "resource_id"),
)
