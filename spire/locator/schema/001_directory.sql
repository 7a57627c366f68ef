CREATE TABLE locator_directory (
    id TINYINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    next_entry_id BIGINT NOT NULL,
    change_id VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
) ENGINE=InnoDB;

CREATE TABLE locator_entries (
    entry_id BIGINT NOT NULL PRIMARY KEY,
    kind TINYINT NOT NULL,
    name VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    disabled BOOLEAN NOT NULL DEFAULT FALSE
) ENGINE=InnoDB;

CREATE TABLE locator_edges (
    entry_id BIGINT NOT NULL,
    parent_id BIGINT NOT NULL,
    PRIMARY KEY (entry_id, parent_id),
    KEY locator_edges_parent (parent_id)
) ENGINE=InnoDB;

CREATE TABLE locator_accounts (
    account_id BIGINT NOT NULL PRIMARY KEY,
    login_name VARCHAR(300) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    kind TINYINT NOT NULL,
    password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
    registered BIGINT NOT NULL,
    password_changed BIGINT NOT NULL,
    last_login BIGINT NULL,
    UNIQUE KEY locator_accounts_name (login_name)
) ENGINE=InnoDB;

CREATE TABLE locator_trading_accounts (
    trading_account_id BIGINT NOT NULL PRIMARY KEY,
    type TINYINT NOT NULL,
    firm_designated_id VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    client_identifier VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NULL,
    base_currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    default_capacity TINYINT NOT NULL,
    aggregation_unit VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    short_marking_exempt BOOLEAN NOT NULL DEFAULT FALSE
) ENGINE=InnoDB;

CREATE TABLE locator_grants (
    target_id BIGINT NOT NULL,
    account_id BIGINT NOT NULL,
    rights INT NOT NULL,
    PRIMARY KEY (target_id, account_id)
) ENGINE=InnoDB;

CREATE TABLE locator_capabilities (
    account_id BIGINT NOT NULL,
    capability VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (account_id, capability)
) ENGINE=InnoDB;
