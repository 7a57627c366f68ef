-- One row: which change was the last; its lock orders changes among all servers of the schema.
CREATE TABLE administration_revision (
    id TINYINT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL
) ENGINE = InnoDB;

CREATE TABLE administration_limits (
    trading_account_id BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    buying_power BIGINT NOT NULL,
    net_loss BIGINT NOT NULL,
    transition_seconds INT NOT NULL,
    allowed_state SMALLINT NOT NULL,
    reason VARCHAR(1000) NOT NULL,
    actor BIGINT NOT NULL,
    effective_from BIGINT NOT NULL,
    effective_to BIGINT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Every version, the one in force included.
CREATE TABLE administration_limit_history (
    trading_account_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    buying_power BIGINT NOT NULL,
    net_loss BIGINT NOT NULL,
    transition_seconds INT NOT NULL,
    allowed_state SMALLINT NOT NULL,
    reason VARCHAR(1000) NOT NULL,
    actor BIGINT NOT NULL,
    effective_from BIGINT NOT NULL,
    effective_to BIGINT NULL,
    PRIMARY KEY (trading_account_id, version)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE administration_risk_states (
    trading_account_id BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    mode SMALLINT NOT NULL,
    reason VARCHAR(1000) NOT NULL,
    actor BIGINT NOT NULL,
    on_behalf_of BIGINT NULL,
    since BIGINT NOT NULL,
    expiry BIGINT NULL,
    business_date CHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE administration_risk_state_history (
    trading_account_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    mode SMALLINT NOT NULL,
    reason VARCHAR(1000) NOT NULL,
    actor BIGINT NOT NULL,
    on_behalf_of BIGINT NULL,
    since BIGINT NOT NULL,
    expiry BIGINT NULL,
    business_date CHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (trading_account_id, version)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Grants are never deleted; a revoked one says by whom.
CREATE TABLE administration_entitlement_grants (
    grant_id BIGINT NOT NULL PRIMARY KEY,
    account_id BIGINT NOT NULL,
    product VARCHAR(100) NOT NULL,
    listing_venue CHAR(4) CHARACTER SET ascii COLLATE ascii_bin NULL,
    source_venue CHAR(4) CHARACTER SET ascii COLLATE ascii_bin NULL,
    record_type SMALLINT NULL,
    mode SMALLINT NOT NULL,
    subscriber SMALLINT NOT NULL,
    asked_from BIGINT NULL,
    asked_to BIGINT NULL,
    effective_from BIGINT NOT NULL,
    effective_to BIGINT NULL,
    granted BIGINT NOT NULL,
    granted_by BIGINT NOT NULL,
    reason VARCHAR(1000) NOT NULL,
    revoked BIGINT NULL,
    revoked_by BIGINT NULL,
    revoke_reason VARCHAR(1000) NULL,
    KEY administration_grants_of_account (account_id, grant_id),
    KEY administration_grants_revoked (revoked)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE administration_identities (
    account_id BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    first_name VARCHAR(200) NOT NULL,
    last_name VARCHAR(200) NOT NULL,
    e_mail VARCHAR(320) NOT NULL,
    telephone VARCHAR(200) NOT NULL,
    address VARCHAR(1000) NOT NULL,
    city VARCHAR(200) NOT NULL,
    province VARCHAR(200) NOT NULL,
    country VARCHAR(2) NOT NULL,
    notes TEXT NOT NULL,
    actor BIGINT NOT NULL,
    updated BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE administration_business_days (
    business_date CHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    opened BIGINT NOT NULL,
    opened_by BIGINT NOT NULL,
    closed BIGINT NULL
) ENGINE = InnoDB;

CREATE TABLE administration_usage (
    usage_date CHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    account_id BIGINT NOT NULL,
    listing_venue CHAR(4) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    record_type SMALLINT NOT NULL,
    PRIMARY KEY (usage_date, account_id, listing_venue, record_type)
) ENGINE = InnoDB;

CREATE TABLE administration_audit_events (
    audit_sequence BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
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
    UNIQUE KEY administration_audit_event (event_id),
    KEY administration_audit_entity (entity, audit_sequence),
    KEY administration_audit_actor (actor, audit_sequence),
    KEY administration_audit_on_behalf_of (on_behalf_of, audit_sequence),
    KEY administration_audit_action (action, audit_sequence),
    KEY administration_audit_time (time)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
