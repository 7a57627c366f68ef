-- How far each trading account's activity has been booked, and the positions as of there.
CREATE TABLE risk_places (
    trading_account_id BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (trading_account_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE risk_positions (
    trading_account_id BIGINT NOT NULL,
    instrument_id BIGINT NOT NULL,
    currency CHAR(3) NOT NULL,
    quantity BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    realised BIGINT NOT NULL,
    fees BIGINT NOT NULL,
    PRIMARY KEY (trading_account_id, instrument_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Records of where an account stood: kind 1 start of day, 2 release. The day's totals are those of the day that it ended.
CREATE TABLE risk_baselines (
    trading_account_id BIGINT NOT NULL,
    number BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    business_date CHAR(10) NOT NULL,
    taken BIGINT NOT NULL,
    currency CHAR(3) NOT NULL,
    day_realised BIGINT NOT NULL,
    day_fees BIGINT NOT NULL,
    day_profit BIGINT NOT NULL,
    PRIMARY KEY (trading_account_id, number)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE risk_baseline_positions (
    trading_account_id BIGINT NOT NULL,
    number BIGINT NOT NULL,
    instrument_id BIGINT NOT NULL,
    currency CHAR(3) NOT NULL,
    quantity BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    realised BIGINT NOT NULL,
    fees BIGINT NOT NULL,
    mark BIGINT NULL,
    PRIMARY KEY (trading_account_id, number, instrument_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- The last business date that was opened for each account.
CREATE TABLE risk_opened (
    trading_account_id BIGINT NOT NULL,
    business_date CHAR(10) NOT NULL,
    outcome VARCHAR(16) NOT NULL,
    reason VARCHAR(1000) NOT NULL,
    is_complete BOOLEAN NOT NULL,
    PRIMARY KEY (trading_account_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Risk states that were written, with the figures that they were written upon.
CREATE TABLE risk_events (
    trading_account_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    time BIGINT NOT NULL,
    business_date CHAR(10) NOT NULL,
    mode_before SMALLINT NOT NULL,
    mode_after SMALLINT NOT NULL,
    reason VARCHAR(1000) NOT NULL,
    expiry BIGINT NULL,
    currency CHAR(3) NOT NULL,
    day_realised BIGINT NOT NULL,
    day_fees BIGINT NOT NULL,
    day_profit BIGINT NOT NULL,
    net_loss BIGINT NULL,
    PRIMARY KEY (trading_account_id, version)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE risk_audit_events (
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
    before_value MEDIUMTEXT NULL,
    after_value MEDIUMTEXT NULL,
    reason VARCHAR(1000) NULL,
    outcome VARCHAR(32) NOT NULL,
    text_value VARCHAR(1000) NULL,
    approval_id VARCHAR(64) NULL,
    correlation_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (audit_sequence),
    UNIQUE KEY risk_audit_event (event_id),
    KEY risk_audit_entity (entity, audit_sequence),
    KEY risk_audit_actor (actor, audit_sequence),
    KEY risk_audit_on_behalf_of (on_behalf_of, audit_sequence),
    KEY risk_audit_action (action, audit_sequence),
    KEY risk_audit_time (time)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
