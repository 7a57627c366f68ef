CREATE TABLE locator_login_sessions (
    login_session VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    account_id BIGINT NOT NULL,
    delegate_id BIGINT NULL,
    public_key VARBINARY(32) NOT NULL,
    audiences TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    opened BIGINT NOT NULL,
    last_used BIGINT NOT NULL,
    peer VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    ended BIGINT NULL,
    end_reason VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    KEY locator_login_sessions_account (account_id),
    KEY locator_login_sessions_delegate (delegate_id),
    KEY locator_login_sessions_ended (ended)
) ENGINE=InnoDB;

CREATE TABLE locator_login_failures (
    subject VARCHAR(300) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    failures INT NOT NULL,
    last_failed BIGINT NOT NULL,
    KEY locator_login_failures_time (last_failed)
) ENGINE=InnoDB;

CREATE TABLE locator_signing_keys (
    key_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    public_key VARBINARY(32) NOT NULL,
    created BIGINT NOT NULL,
    retires BIGINT NULL
) ENGINE=InnoDB;
