-- The newest version of each rule. Rows are never deleted: a rule id, once given out, means its rule for ever.
CREATE TABLE compliance_rules (
    rule_id BIGINT NOT NULL,
    entry_id BIGINT NOT NULL,
    schema_name VARCHAR(64) NOT NULL,
    parameters TEXT NOT NULL,
    state SMALLINT NOT NULL,
    version BIGINT NOT NULL,
    author BIGINT NOT NULL,
    reason VARCHAR(1000) NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (rule_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Every version that a rule ever had, the newest included.
CREATE TABLE compliance_rule_versions (
    rule_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    entry_id BIGINT NOT NULL,
    schema_name VARCHAR(64) NOT NULL,
    parameters TEXT NOT NULL,
    state SMALLINT NOT NULL,
    author BIGINT NOT NULL,
    reason VARCHAR(1000) NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (rule_id, version),
    CONSTRAINT compliance_version_rule FOREIGN KEY (rule_id) REFERENCES compliance_rules (rule_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Violations as Order Execution's activity/0 told them; (epoch, sequence) is their place in it.
CREATE TABLE compliance_violations (
    epoch BIGINT NOT NULL,
    activity_sequence BIGINT NOT NULL,
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
    schema_name VARCHAR(64) NOT NULL,
    state SMALLINT NOT NULL,
    text_value VARCHAR(1000) NOT NULL,
    limit_value VARCHAR(255) NULL,
    observed VARCHAR(255) NULL,
    PRIMARY KEY (epoch, activity_sequence),
    KEY compliance_violations_of_account (trading_account_id, epoch, activity_sequence),
    KEY compliance_violations_of_rule (rule_id, epoch, activity_sequence),
    KEY compliance_violations_by_time (time)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- How far a topic of another server was followed; it never goes back.
CREATE TABLE compliance_places (
    topic VARCHAR(100) NOT NULL,
    epoch BIGINT NOT NULL,
    activity_sequence BIGINT NOT NULL,
    PRIMARY KEY (topic)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE compliance_audit_events (
    audit_sequence BIGINT NOT NULL AUTO_INCREMENT,
    event_id CHAR(32) CHARACTER SET ascii NOT NULL,
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
    before_value MEDIUMTEXT NULL,
    after_value MEDIUMTEXT NULL,
    reason VARCHAR(1000) NULL,
    outcome VARCHAR(32) NOT NULL,
    text_value VARCHAR(1000) NULL,
    approval_id VARCHAR(64) NULL,
    correlation_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (audit_sequence),
    UNIQUE KEY compliance_audit_event (event_id),
    KEY compliance_audit_entity (entity, audit_sequence),
    KEY compliance_audit_actor (actor, audit_sequence),
    KEY compliance_audit_on_behalf_of (on_behalf_of, audit_sequence),
    KEY compliance_audit_action (action, audit_sequence),
    KEY compliance_audit_time (time)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
