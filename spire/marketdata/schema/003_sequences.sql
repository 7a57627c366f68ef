CREATE TABLE IF NOT EXISTS marketdata_sequences (
    record_type TINYINT NOT NULL,
    instrument_id BIGINT NOT NULL,
    last_sequence BIGINT NOT NULL,
    PRIMARY KEY (record_type, instrument_id)
) ENGINE=InnoDB;
