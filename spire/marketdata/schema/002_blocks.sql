CREATE TABLE IF NOT EXISTS marketdata_blocks (
    instrument_id BIGINT NOT NULL,
    record_type TINYINT NOT NULL,
    first_sequence BIGINT NOT NULL,
    last_sequence BIGINT NOT NULL,
    feed_session_id BIGINT NOT NULL,
    least_time BIGINT NOT NULL,
    greatest_time BIGINT NOT NULL,
    record_count INT NOT NULL,
    layout_version SMALLINT NOT NULL,
    payload MEDIUMBLOB NOT NULL,
    PRIMARY KEY (instrument_id, record_type, first_sequence),
    UNIQUE KEY marketdata_blocks_by_last (instrument_id, record_type, last_sequence),
    KEY marketdata_blocks_by_time (instrument_id, record_type, greatest_time),
    KEY marketdata_blocks_by_session (feed_session_id, record_type, instrument_id, first_sequence)
) ENGINE=InnoDB;
