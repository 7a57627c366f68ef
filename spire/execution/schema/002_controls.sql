-- Rates are named by text; until now none was ever recorded.
ALTER TABLE execution_submissions MODIFY decision_exchange_rate_id VARCHAR(255) NULL;

-- Halts as they are now.
CREATE TABLE execution_halts (
    halt_id BIGINT NOT NULL,
    scope SMALLINT NOT NULL,
    scope_id BIGINT NOT NULL,
    mode SMALLINT NOT NULL,
    actions INT NOT NULL,
    reason VARCHAR(1000) NOT NULL,
    set_by BIGINT NULL,
    set_at BIGINT NOT NULL,
    announces BIGINT NULL,
    released BIGINT NULL,
    released_by BIGINT NULL,
    release_reason VARCHAR(1000) NULL,
    PRIMARY KEY (halt_id),
    KEY execution_halts_in_force (released, halt_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Halts as they were set, changed and released, for the history of activity/0; rows are never changed.
CREATE TABLE execution_halt_events (
    halt_id BIGINT NOT NULL,
    scope SMALLINT NOT NULL,
    scope_id BIGINT NOT NULL,
    mode SMALLINT NOT NULL,
    actions INT NOT NULL,
    reason VARCHAR(1000) NOT NULL,
    set_by BIGINT NULL,
    set_at BIGINT NOT NULL,
    announces BIGINT NULL,
    released BIGINT NULL,
    released_by BIGINT NULL,
    release_reason VARCHAR(1000) NULL,
    epoch BIGINT NOT NULL,
    activity_sequence BIGINT NOT NULL,
    activity_time BIGINT NOT NULL,
    PRIMARY KEY (epoch, activity_sequence)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Orders that broke a compliance rule; rows are never changed. Their own place is that of activity/0.
CREATE TABLE execution_violations (
    time BIGINT NOT NULL,
    environment SMALLINT NOT NULL,
    trading_account_id BIGINT NOT NULL,
    order_id BIGINT NOT NULL,
    client_order_id VARCHAR(64) NOT NULL,
    entered_by BIGINT NOT NULL,
    instrument_id BIGINT NOT NULL,
    side SMALLINT NOT NULL,
    quantity BIGINT NOT NULL,
    rule_id BIGINT NOT NULL,
    rule_version BIGINT NOT NULL,
    entry_id BIGINT NOT NULL,
    rule_schema VARCHAR(255) NOT NULL,
    state SMALLINT NOT NULL,
    text_value VARCHAR(1000) NOT NULL,
    limit_value VARCHAR(64) NULL,
    observed VARCHAR(64) NULL,
    epoch BIGINT NOT NULL,
    activity_sequence BIGINT NOT NULL,
    activity_time BIGINT NOT NULL,
    PRIMARY KEY (epoch, activity_sequence)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- The audit log; rows are never changed.
CREATE TABLE execution_audit_events (
    audit_sequence BIGINT NOT NULL AUTO_INCREMENT,
    event_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    time BIGINT NOT NULL,
    environment SMALLINT NOT NULL,
    actor BIGINT NULL,
    actor_name VARCHAR(100) NOT NULL,
    on_behalf_of BIGINT NULL,
    session VARCHAR(100) NOT NULL,
    channel SMALLINT NOT NULL,
    source VARCHAR(255) NOT NULL,
    client_version VARCHAR(100) NOT NULL,
    action VARCHAR(64) NOT NULL,
    entity VARCHAR(200) NOT NULL,
    entity_version BIGINT NULL,
    before_value TEXT NULL,
    after_value MEDIUMTEXT NULL,
    reason VARCHAR(1000) NULL,
    outcome VARCHAR(32) NOT NULL,
    text_value VARCHAR(1000) NULL,
    approval_id VARCHAR(64) NULL,
    correlation_id VARCHAR(64) NOT NULL,
    epoch BIGINT NOT NULL,
    activity_sequence BIGINT NOT NULL,
    activity_time BIGINT NOT NULL,
    PRIMARY KEY (audit_sequence),
    UNIQUE KEY execution_audit_event (event_id),
    UNIQUE KEY execution_audit_place (epoch, activity_sequence),
    KEY execution_audit_entity (entity, audit_sequence),
    KEY execution_audit_actor (actor, audit_sequence),
    KEY execution_audit_on_behalf_of (on_behalf_of, audit_sequence),
    KEY execution_audit_action (action, audit_sequence),
    KEY execution_audit_time (time)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
