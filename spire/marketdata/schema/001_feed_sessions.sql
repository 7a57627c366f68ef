CREATE TABLE IF NOT EXISTS marketdata_feed_sessions (
    feed_session_id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    account_id BIGINT NOT NULL,
    account VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    kind TINYINT NOT NULL,
    trade_date DATE NOT NULL,
    schedule TINYINT NOT NULL,
    environment TINYINT NOT NULL,
    serves MEDIUMBLOB NOT NULL,
    opened BIGINT NOT NULL,
    ended BIGINT NULL,
    position BIGINT NOT NULL,
    KEY marketdata_feed_sessions_by_date (trade_date, feed_session_id)
) ENGINE=InnoDB;
