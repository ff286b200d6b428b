-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE IF NOT EXISTS backends (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    host VARCHAR(255) NOT NULL,
    driver VARCHAR(64) NOT NULL,
    availability_zone VARCHAR(255) NOT NULL,
    host_bound BOOL NOT NULL,
    capabilities MEDIUMTEXT NOT NULL,
    state VARCHAR(16) NOT NULL,
    reason TEXT NOT NULL,
    enabled BOOL NOT NULL,
    disabled_reason VARCHAR(255),
    frozen BOOL NOT NULL,
    updated_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_backends PRIMARY KEY (id),
    CONSTRAINT uq_backends_host_name UNIQUE (host, name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS charges (
    resource_id VARCHAR(36) NOT NULL,
    `key` VARCHAR(300) NOT NULL,
    reason VARCHAR(32) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    amount BIGINT NOT NULL,
    CONSTRAINT pk_charges PRIMARY KEY (resource_id, `key`, reason),
    KEY ix_charges_project (project_id, `key`)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS counters (
    name VARCHAR(64) NOT NULL,
    value BIGINT NOT NULL,
    CONSTRAINT pk_counters PRIMARY KEY (name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS debts (
    id VARCHAR(36) NOT NULL,
    queue VARCHAR(255) NOT NULL,
    operation_id VARCHAR(36) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    task VARCHAR(64) NOT NULL,
    work MEDIUMTEXT NOT NULL,
    error MEDIUMTEXT NOT NULL,
    attempt INTEGER NOT NULL,
    not_before_us BIGINT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_debts PRIMARY KEY (id),
    KEY ix_debts_queue (queue)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS decisions (
    id VARCHAR(64) NOT NULL,
    resource_id VARCHAR(36) NOT NULL,
    operation_id VARCHAR(36) NOT NULL,
    decision MEDIUMTEXT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_decisions PRIMARY KEY (id),
    KEY ix_decisions_resource_id_created_at (resource_id, created_at)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS findings (
    id VARCHAR(36) NOT NULL,
    resource_id VARCHAR(36) NOT NULL,
    operation_id VARCHAR(36),
    code VARCHAR(64) NOT NULL,
    text TEXT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_findings PRIMARY KEY (id),
    KEY ix_findings_resource_id (resource_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS group_types (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description VARCHAR(255),
    is_public BOOL NOT NULL,
    group_specs MEDIUMTEXT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_group_types PRIMARY KEY (id),
    CONSTRAINT uq_group_types_name UNIQUE (name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS journal (
    operation_id VARCHAR(36) NOT NULL,
    round INTEGER NOT NULL,
    task VARCHAR(64) NOT NULL,
    step VARCHAR(16) NOT NULL,
    intent MEDIUMTEXT NOT NULL,
    result MEDIUMTEXT NOT NULL,
    attempt INTEGER NOT NULL,
    started_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_journal PRIMARY KEY (operation_id, round, task)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS messages (
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
    CONSTRAINT pk_messages PRIMARY KEY (id),
    KEY ix_messages_project (project_id, created_at, id),
    KEY ix_messages_resource (resource_uuid)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS operation_history (
    id VARCHAR(36) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    resource_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    state VARCHAR(16) NOT NULL,
    document MEDIUMTEXT NOT NULL,
    finished_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_operation_history PRIMARY KEY (id),
    KEY ix_operation_history_finished (finished_at, id),
    KEY ix_operation_history_project (project_id, finished_at, id),
    KEY ix_operation_history_resource (resource_id, finished_at)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS operation_keys (
    operation_id VARCHAR(36) NOT NULL,
    `key` VARCHAR(190) NOT NULL,
    exclusive BOOL NOT NULL,
    granted BOOL NOT NULL,
    seq BIGINT NOT NULL,
    CONSTRAINT pk_operation_keys PRIMARY KEY (operation_id, `key`),
    KEY ix_operation_keys_key (`key`, seq)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS operations (
    seq BIGINT NOT NULL AUTO_INCREMENT,
    id VARCHAR(36) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    resource_type VARCHAR(36) NOT NULL,
    resource_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    user_id VARCHAR(255) NOT NULL,
    request_id VARCHAR(255) NOT NULL,
    args MEDIUMTEXT NOT NULL,
    tasks MEDIUMTEXT NOT NULL,
    pivot VARCHAR(64),
    queue VARCHAR(255) NOT NULL,
    lane INTEGER NOT NULL,
    blocked BOOL NOT NULL,
    undo_to VARCHAR(64) NOT NULL,
    round INTEGER NOT NULL,
    task VARCHAR(64) NOT NULL,
    attempt INTEGER NOT NULL,
    not_before_us BIGINT NOT NULL,
    lease_owner VARCHAR(36),
    lease_until_us BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    cancel BOOL NOT NULL,
    error MEDIUMTEXT NOT NULL,
    failures MEDIUMTEXT NOT NULL,
    progress_done BIGINT NOT NULL,
    progress_total BIGINT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    started_at VARCHAR(26),
    CONSTRAINT pk_operations PRIMARY KEY (seq),
    CONSTRAINT uq_operations_id UNIQUE (id),
    KEY ix_operations_claim (queue, lane, blocked, not_before_us),
    KEY ix_operations_owner (lease_owner),
    KEY ix_operations_resource (resource_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS processes (
    id VARCHAR(36) NOT NULL,
    host VARCHAR(255) NOT NULL,
    pid INTEGER NOT NULL,
    roles VARCHAR(255) NOT NULL,
    queues MEDIUMTEXT NOT NULL,
    started_at VARCHAR(26) NOT NULL,
    seen_us BIGINT NOT NULL,
    CONSTRAINT pk_processes PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS qos_specs (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    consumer VARCHAR(16) NOT NULL,
    specs MEDIUMTEXT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_qos_specs PRIMARY KEY (id),
    CONSTRAINT uq_qos_specs_name UNIQUE (name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS quota_classes (
    class VARCHAR(255) NOT NULL,
    `key` VARCHAR(300) NOT NULL,
    `limit` BIGINT NOT NULL,
    CONSTRAINT pk_quota_classes PRIMARY KEY (class, `key`)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS quotas (
    project_id VARCHAR(255) NOT NULL,
    `key` VARCHAR(300) NOT NULL,
    `limit` BIGINT NOT NULL,
    CONSTRAINT pk_quotas PRIMARY KEY (project_id, `key`)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS reservations (
    id VARCHAR(64) NOT NULL,
    pool_id VARCHAR(255) NOT NULL,
    bytes BIGINT NOT NULL,
    ended_us BIGINT,
    CONSTRAINT pk_reservations PRIMARY KEY (id),
    CONSTRAINT ck_reservations_bytes CHECK (bytes >= 0),
    KEY ix_reservations_pool_id (pool_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS services (
    id VARCHAR(36) NOT NULL,
    `binary` VARCHAR(255) NOT NULL,
    host VARCHAR(255) NOT NULL,
    backend_id VARCHAR(36),
    availability_zone VARCHAR(255) NOT NULL,
    disabled BOOL NOT NULL,
    disabled_reason VARCHAR(255),
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26) NOT NULL,
    seen_us BIGINT NOT NULL,
    CONSTRAINT pk_services PRIMARY KEY (id),
    CONSTRAINT uq_services_binary_host UNIQUE (`binary`, host)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS usages (
    project_id VARCHAR(255) NOT NULL,
    `key` VARCHAR(300) NOT NULL,
    amount BIGINT NOT NULL,
    CONSTRAINT pk_usages PRIMARY KEY (project_id, `key`)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS pools (
    id VARCHAR(255) NOT NULL,
    backend_id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    report MEDIUMTEXT NOT NULL,
    sampled_us BIGINT NOT NULL,
    volumes INTEGER NOT NULL,
    allocated_gib BIGINT NOT NULL,
    updated_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_pools PRIMARY KEY (id),
    CONSTRAINT uq_pools_backend_id_name UNIQUE (backend_id, name),
    CONSTRAINT fk_pools_backend_id FOREIGN KEY(backend_id) REFERENCES backends (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS volume_types (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description VARCHAR(255),
    is_public BOOL NOT NULL,
    qos_specs_id VARCHAR(36),
    extra_specs MEDIUMTEXT NOT NULL,
    encryption MEDIUMTEXT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_volume_types PRIMARY KEY (id),
    CONSTRAINT uq_volume_types_name UNIQUE (name),
    CONSTRAINT fk_volume_types_qos_specs_id FOREIGN KEY(qos_specs_id) REFERENCES qos_specs (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS default_types (
    project_id VARCHAR(255) NOT NULL,
    volume_type_id VARCHAR(36) NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_default_types PRIMARY KEY (project_id),
    CONSTRAINT fk_default_types_volume_type_id FOREIGN KEY(volume_type_id) REFERENCES volume_types (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS volume_type_access (
    volume_type_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    CONSTRAINT pk_volume_type_access PRIMARY KEY (volume_type_id, project_id),
    CONSTRAINT fk_volume_type_access_volume_type_id FOREIGN KEY(volume_type_id) REFERENCES volume_types (id) ON DELETE CASCADE
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS volumes (
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
    bootable BOOL NOT NULL,
    multiattach BOOL NOT NULL,
    encryption_key_id VARCHAR(36),
    replication_status VARCHAR(64),
    consistencygroup_id VARCHAR(36),
    group_id VARCHAR(36),
    provider_id VARCHAR(255),
    shared_targets BOOL,
    service_uuid VARCHAR(36),
    cluster_name VARCHAR(255),
    consumes_quota BOOL NOT NULL,
    backend_id VARCHAR(36),
    pool VARCHAR(255),
    name_id VARCHAR(36),
    metadata MEDIUMTEXT NOT NULL,
    admin_metadata MEDIUMTEXT NOT NULL,
    image_metadata MEDIUMTEXT NOT NULL,
    object MEDIUMTEXT NOT NULL,
    operation_id VARCHAR(36),
    status_since VARCHAR(26),
    version INTEGER NOT NULL,
    launched_at VARCHAR(26),
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_volumes PRIMARY KEY (id),
    CONSTRAINT ck_volumes_size CHECK (size >= 0),
    CONSTRAINT fk_volumes_volume_type_id FOREIGN KEY(volume_type_id) REFERENCES volume_types (id),
    KEY ix_volumes_backend (backend_id, pool),
    KEY ix_volumes_created (created_at, id),
    KEY ix_volumes_project (project_id, created_at, id),
    KEY ix_volumes_project_name (project_id, name),
    KEY ix_volumes_type (volume_type_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS attachments (
    id VARCHAR(36) NOT NULL,
    volume_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    instance_uuid VARCHAR(36),
    attached_host VARCHAR(255),
    mountpoint VARCHAR(255),
    attach_mode VARCHAR(36) NOT NULL,
    attach_status VARCHAR(64) NOT NULL,
    connector MEDIUMTEXT NOT NULL,
    connection MEDIUMTEXT NOT NULL,
    attach_time VARCHAR(26),
    detach_time VARCHAR(26),
    operation_id VARCHAR(36),
    agent_host VARCHAR(255),
    device MEDIUMTEXT NOT NULL,
    boot_id VARCHAR(64),
    export MEDIUMTEXT NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_attachments PRIMARY KEY (id),
    CONSTRAINT fk_attachments_volume_id FOREIGN KEY(volume_id) REFERENCES volumes (id),
    KEY ix_attachments_agent (agent_host),
    KEY ix_attachments_project (project_id, created_at, id),
    KEY ix_attachments_volume (volume_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS snapshots (
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
    consumes_quota BOOL NOT NULL,
    metadata MEDIUMTEXT NOT NULL,
    object MEDIUMTEXT NOT NULL,
    operation_id VARCHAR(36),
    status_since VARCHAR(26),
    version INTEGER NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    updated_at VARCHAR(26),
    CONSTRAINT pk_snapshots PRIMARY KEY (id),
    CONSTRAINT fk_snapshots_volume_id FOREIGN KEY(volume_id) REFERENCES volumes (id),
    KEY ix_snapshots_project (project_id, created_at, id),
    KEY ix_snapshots_volume (volume_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS transfers (
    id VARCHAR(36) NOT NULL,
    volume_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    name VARCHAR(255),
    key_salt VARCHAR(64) NOT NULL,
    key_hash VARCHAR(64) NOT NULL,
    no_snapshots BOOL NOT NULL,
    created_at VARCHAR(26) NOT NULL,
    CONSTRAINT pk_transfers PRIMARY KEY (id),
    CONSTRAINT uq_transfers_volume_id UNIQUE (volume_id),
    CONSTRAINT fk_transfers_volume_id FOREIGN KEY(volume_id) REFERENCES volumes (id) ON DELETE CASCADE,
    KEY ix_transfers_project (project_id, created_at, id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
