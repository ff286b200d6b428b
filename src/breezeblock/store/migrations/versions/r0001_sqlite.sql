-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE backends (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    host VARCHAR(255) NOT NULL,
    driver VARCHAR(64) NOT NULL,
    availability_zone VARCHAR(255) NOT NULL,
    host_bound BOOLEAN NOT NULL,
    capabilities TEXT NOT NULL,
    state VARCHAR(16) NOT NULL,
    reason TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    disabled_reason VARCHAR(255),
    frozen BOOLEAN NOT NULL,
    updated_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_backends PRIMARY KEY (id),
    CONSTRAINT uq_backends_host_name UNIQUE (host, name)
);

CREATE TABLE charges (
    resource_id VARCHAR(36) NOT NULL,
    "key" VARCHAR(300) NOT NULL,
    reason VARCHAR(32) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    amount BIGINT NOT NULL,
    CONSTRAINT pk_charges PRIMARY KEY (resource_id, "key", reason)
);

CREATE INDEX ix_charges_project ON charges (project_id, "key");

CREATE TABLE counters (
    name VARCHAR(64) NOT NULL,
    value BIGINT NOT NULL,
    CONSTRAINT pk_counters PRIMARY KEY (name)
);

CREATE TABLE debts (
    id VARCHAR(36) NOT NULL,
    queue VARCHAR(255) NOT NULL,
    operation_id VARCHAR(36) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    task VARCHAR(64) NOT NULL,
    work TEXT NOT NULL,
    error TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    not_before_us BIGINT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_debts PRIMARY KEY (id)
);

CREATE INDEX ix_debts_queue ON debts (queue);

CREATE TABLE decisions (
    id VARCHAR(64) NOT NULL,
    resource_id VARCHAR(36) NOT NULL,
    operation_id VARCHAR(36) NOT NULL,
    decision TEXT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_decisions PRIMARY KEY (id)
);

CREATE INDEX ix_decisions_resource_id_created_at ON decisions (resource_id, created_at);

CREATE TABLE findings (
    id VARCHAR(36) NOT NULL,
    resource_id VARCHAR(36) NOT NULL,
    operation_id VARCHAR(36),
    code VARCHAR(64) NOT NULL,
    text TEXT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_findings PRIMARY KEY (id)
);

CREATE INDEX ix_findings_resource_id ON findings (resource_id);

CREATE TABLE group_types (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description VARCHAR(255),
    is_public BOOLEAN NOT NULL,
    group_specs TEXT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_group_types PRIMARY KEY (id),
    CONSTRAINT uq_group_types_name UNIQUE (name)
);

CREATE TABLE journal (
    operation_id VARCHAR(36) NOT NULL,
    round INTEGER NOT NULL,
    task VARCHAR(64) NOT NULL,
    step VARCHAR(16) NOT NULL,
    intent TEXT NOT NULL,
    result TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    started_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_journal PRIMARY KEY (operation_id, round, task)
);

CREATE TABLE messages (
    id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    request_id VARCHAR(255),
    resource_type VARCHAR(36),
    resource_uuid VARCHAR(36),
    event_id VARCHAR(255) NOT NULL,
    level VARCHAR(16) NOT NULL,
    text TEXT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    expires_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_messages PRIMARY KEY (id)
);

CREATE INDEX ix_messages_project ON messages (project_id, created_at, id);

CREATE INDEX ix_messages_resource ON messages (resource_uuid);

CREATE TABLE operation_history (
    id VARCHAR(36) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    resource_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    state VARCHAR(16) NOT NULL,
    document TEXT NOT NULL,
    finished_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_operation_history PRIMARY KEY (id)
);

CREATE INDEX ix_operation_history_finished ON operation_history (finished_at, id);

CREATE INDEX ix_operation_history_project ON operation_history (project_id, finished_at, id);

CREATE INDEX ix_operation_history_resource ON operation_history (resource_id, finished_at);

CREATE TABLE operation_keys (
    operation_id VARCHAR(36) NOT NULL,
    "key" VARCHAR(190) NOT NULL,
    "exclusive" BOOLEAN NOT NULL,
    granted BOOLEAN NOT NULL,
    seq BIGINT NOT NULL,
    CONSTRAINT pk_operation_keys PRIMARY KEY (operation_id, "key")
);

CREATE INDEX ix_operation_keys_key ON operation_keys ("key", seq);

CREATE TABLE operations (
    seq INTEGER NOT NULL,
    id VARCHAR(36) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    resource_type VARCHAR(36) NOT NULL,
    resource_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    user_id VARCHAR(255) NOT NULL,
    request_id VARCHAR(255) NOT NULL,
    args TEXT NOT NULL,
    tasks TEXT NOT NULL,
    pivot VARCHAR(64),
    queue VARCHAR(255) NOT NULL,
    lane INTEGER NOT NULL,
    blocked BOOLEAN NOT NULL,
    undo_to VARCHAR(64) NOT NULL,
    round INTEGER NOT NULL,
    task VARCHAR(64) NOT NULL,
    attempt INTEGER NOT NULL,
    not_before_us BIGINT NOT NULL,
    lease_owner VARCHAR(36),
    lease_until_us BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    cancel BOOLEAN NOT NULL,
    error TEXT NOT NULL,
    failures TEXT NOT NULL,
    progress_done BIGINT NOT NULL,
    progress_total BIGINT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    started_at VARCHAR(26),
    CONSTRAINT pk_operations PRIMARY KEY (seq),
    CONSTRAINT uq_operations_id UNIQUE (id)
);

CREATE INDEX ix_operations_claim ON operations (queue, lane, blocked, not_before_us);

CREATE INDEX ix_operations_owner ON operations (lease_owner);

CREATE INDEX ix_operations_resource ON operations (resource_id);

CREATE TABLE processes (
    id VARCHAR(36) NOT NULL,
    host VARCHAR(255) NOT NULL,
    pid INTEGER NOT NULL,
    roles VARCHAR(255) NOT NULL,
    queues TEXT NOT NULL,
    started_at VARCHAR(26) NOT NULL,
    seen_us BIGINT NOT NULL,
    CONSTRAINT pk_processes PRIMARY KEY (id)
);

CREATE TABLE qos_specs (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    consumer VARCHAR(16) NOT NULL,
    specs TEXT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_qos_specs PRIMARY KEY (id),
    CONSTRAINT uq_qos_specs_name UNIQUE (name)
);

CREATE TABLE quota_classes (
    class VARCHAR(255) NOT NULL,
    "key" VARCHAR(300) NOT NULL,
    "limit" BIGINT NOT NULL,
    CONSTRAINT pk_quota_classes PRIMARY KEY (class, "key")
);

CREATE TABLE quotas (
    project_id VARCHAR(255) NOT NULL,
    "key" VARCHAR(300) NOT NULL,
    "limit" BIGINT NOT NULL,
    CONSTRAINT pk_quotas PRIMARY KEY (project_id, "key")
);

CREATE TABLE reservations (
    id VARCHAR(64) NOT NULL,
    pool_id VARCHAR(255) NOT NULL,
    bytes BIGINT NOT NULL,
    ended_us BIGINT,
    CONSTRAINT pk_reservations PRIMARY KEY (id),
    CONSTRAINT ck_reservations_bytes CHECK (bytes >= 0)
);

CREATE INDEX ix_reservations_pool_id ON reservations (pool_id);

CREATE TABLE services (
    id VARCHAR(36) NOT NULL,
    binary VARCHAR(255) NOT NULL,
    host VARCHAR(255) NOT NULL,
    backend_id VARCHAR(36),
    availability_zone VARCHAR(255) NOT NULL,
    disabled BOOLEAN NOT NULL,
    disabled_reason VARCHAR(255),
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26) NOT NULL,
    seen_us BIGINT NOT NULL,
    CONSTRAINT pk_services PRIMARY KEY (id),
    CONSTRAINT uq_services_binary_host UNIQUE (binary, host)
);

CREATE TABLE usages (
    project_id VARCHAR(255) NOT NULL,
    "key" VARCHAR(300) NOT NULL,
    amount BIGINT NOT NULL,
    CONSTRAINT pk_usages PRIMARY KEY (project_id, "key")
);

CREATE TABLE pools (
    id VARCHAR(255) NOT NULL,
    backend_id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    report TEXT NOT NULL,
    sampled_us BIGINT NOT NULL,
    volumes INTEGER NOT NULL,
    allocated_gib BIGINT NOT NULL,
    updated_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_pools PRIMARY KEY (id),
    CONSTRAINT uq_pools_backend_id_name UNIQUE (backend_id, name),
    CONSTRAINT fk_pools_backend_id FOREIGN KEY(backend_id) REFERENCES backends (id) ON DELETE CASCADE
);

CREATE TABLE volume_types (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description VARCHAR(255),
    is_public BOOLEAN NOT NULL,
    qos_specs_id VARCHAR(36),
    extra_specs TEXT NOT NULL,
    encryption TEXT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_volume_types PRIMARY KEY (id),
    CONSTRAINT uq_volume_types_name UNIQUE (name),
    CONSTRAINT fk_volume_types_qos_specs_id FOREIGN KEY(qos_specs_id) REFERENCES qos_specs (id)
);

CREATE TABLE default_types (
    project_id VARCHAR(255) NOT NULL,
    volume_type_id VARCHAR(36) NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_default_types PRIMARY KEY (project_id),
    CONSTRAINT fk_default_types_volume_type_id FOREIGN KEY(volume_type_id) REFERENCES volume_types (id)
);

CREATE TABLE volume_type_access (
    volume_type_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    CONSTRAINT pk_volume_type_access PRIMARY KEY (volume_type_id, project_id),
    CONSTRAINT fk_volume_type_access_volume_type_id FOREIGN KEY(volume_type_id) REFERENCES volume_types (id) ON DELETE CASCADE
);

CREATE TABLE volumes (
    id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    user_id VARCHAR(255) NOT NULL,
    name VARCHAR(255),
    description VARCHAR(255),
    size INTEGER NOT NULL,
    status VARCHAR(64) NOT NULL,
    previous_status VARCHAR(64),
    attach_status VARCHAR(64) NOT NULL,
    migration_status VARCHAR(128),
    availability_zone VARCHAR(255),
    volume_type_id VARCHAR(36),
    snapshot_id VARCHAR(36),
    source_volid VARCHAR(36),
    bootable BOOLEAN NOT NULL,
    multiattach BOOLEAN NOT NULL,
    encryption_key_id VARCHAR(36),
    replication_status VARCHAR(64),
    consistencygroup_id VARCHAR(36),
    group_id VARCHAR(36),
    provider_id VARCHAR(255),
    shared_targets BOOLEAN,
    service_uuid VARCHAR(36),
    cluster_name VARCHAR(255),
    consumes_quota BOOLEAN NOT NULL,
    backend_id VARCHAR(36),
    pool VARCHAR(255),
    name_id VARCHAR(36),
    metadata TEXT NOT NULL,
    admin_metadata TEXT NOT NULL,
    image_metadata TEXT NOT NULL,
    object TEXT NOT NULL,
    operation_id VARCHAR(36),
    status_since VARCHAR(26),
    version INTEGER NOT NULL,
    launched_at VARCHAR(26),
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_volumes PRIMARY KEY (id),
    CONSTRAINT ck_volumes_size CHECK (size >= 0),
    CONSTRAINT fk_volumes_volume_type_id FOREIGN KEY(volume_type_id) REFERENCES volume_types (id)
);

CREATE INDEX ix_volumes_backend ON volumes (backend_id, pool);

CREATE INDEX ix_volumes_created ON volumes (created_at, id);

CREATE INDEX ix_volumes_project ON volumes (project_id, created_at, id);

CREATE INDEX ix_volumes_project_name ON volumes (project_id, name);

CREATE INDEX ix_volumes_type ON volumes (volume_type_id);

CREATE TABLE attachments (
    id VARCHAR(36) NOT NULL,
    volume_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    instance_uuid VARCHAR(36),
    attached_host VARCHAR(255),
    mountpoint VARCHAR(255),
    attach_mode VARCHAR(36) NOT NULL,
    attach_status VARCHAR(64) NOT NULL,
    connector TEXT NOT NULL,
    connection TEXT NOT NULL,
    attach_time VARCHAR(26),
    detach_time VARCHAR(26),
    operation_id VARCHAR(36),
    agent_host VARCHAR(255),
    device TEXT NOT NULL,
    boot_id VARCHAR(64),
    export TEXT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_attachments PRIMARY KEY (id),
    CONSTRAINT fk_attachments_volume_id FOREIGN KEY(volume_id) REFERENCES volumes (id)
);

CREATE INDEX ix_attachments_agent ON attachments (agent_host);

CREATE INDEX ix_attachments_project ON attachments (project_id, created_at, id);

CREATE INDEX ix_attachments_volume ON attachments (volume_id);

CREATE TABLE snapshots (
    id VARCHAR(36) NOT NULL,
    volume_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    user_id VARCHAR(255) NOT NULL,
    name VARCHAR(255),
    description VARCHAR(255),
    size INTEGER NOT NULL,
    status VARCHAR(64) NOT NULL,
    progress VARCHAR(16) NOT NULL,
    volume_type_id VARCHAR(36),
    group_snapshot_id VARCHAR(36),
    consumes_quota BOOLEAN NOT NULL,
    metadata TEXT NOT NULL,
    object TEXT NOT NULL,
    operation_id VARCHAR(36),
    status_since VARCHAR(26),
    version INTEGER NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_snapshots PRIMARY KEY (id),
    CONSTRAINT fk_snapshots_volume_id FOREIGN KEY(volume_id) REFERENCES volumes (id)
);

CREATE INDEX ix_snapshots_project ON snapshots (project_id, created_at, id);

CREATE INDEX ix_snapshots_volume ON snapshots (volume_id);

CREATE TABLE transfers (
    id VARCHAR(36) NOT NULL,
    volume_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    name VARCHAR(255),
    key_salt VARCHAR(64) NOT NULL,
    key_hash VARCHAR(64) NOT NULL,
    no_snapshots BOOLEAN NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_transfers PRIMARY KEY (id),
    CONSTRAINT uq_transfers_volume_id UNIQUE (volume_id),
    CONSTRAINT fk_transfers_volume_id FOREIGN KEY(volume_id) REFERENCES volumes (id) ON DELETE CASCADE
);

CREATE INDEX ix_transfers_project ON transfers (project_id, created_at, id);
