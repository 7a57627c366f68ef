CREATE TABLE IF NOT EXISTS marketdata_last_records (
    record_type TINYINT NOT NULL,
    instrument_id BIGINT NOT NULL,
    trade_date DATE NOT NULL,
    sequence BIGINT NOT NULL,
    feed_session_id BIGINT NOT NULL,
    layout_version SMALLINT NOT NULL,
    record VARBINARY(255) NOT NULL,
    PRIMARY KEY (record_type, instrument_id, trade_date)
) ENGINE=InnoDB;
