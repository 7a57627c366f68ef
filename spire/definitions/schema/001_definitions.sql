-- The instrument master. Rows are never deleted: an id, once given out, means its instrument for ever.
CREATE TABLE definitions_instruments (
    instrument_id BIGINT NOT NULL,
    name VARCHAR(200) NOT NULL,
    added BIGINT NOT NULL,
    added_by VARCHAR(100) NOT NULL,
    PRIMARY KEY (instrument_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE definitions_instrument_aliases (
    instrument_id BIGINT NOT NULL,
    symbol VARCHAR(31) NOT NULL,
    venue CHAR(4) NOT NULL,
    effective_from DATE NOT NULL,
    effective_to DATE NULL,
    PRIMARY KEY (symbol, venue, effective_from),
    KEY definitions_aliases_of_instrument (instrument_id, effective_from),
    CONSTRAINT definitions_alias_instrument FOREIGN KEY (instrument_id)
        REFERENCES definitions_instruments (instrument_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE definitions_instrument_terms (
    instrument_id BIGINT NOT NULL,
    effective_from DATE NOT NULL,
    effective_to DATE NULL,
    instrument_type SMALLINT NOT NULL,
    listing_venue CHAR(4) NOT NULL,
    currency CHAR(3) NOT NULL,
    tick_table VARCHAR(64) NOT NULL,
    order_increment BIGINT NOT NULL,
    round_lot BIGINT NOT NULL,
    isin CHAR(12) NULL,
    status SMALLINT NOT NULL,
    PRIMARY KEY (instrument_id, effective_from),
    CONSTRAINT definitions_terms_instrument FOREIGN KEY (instrument_id)
        REFERENCES definitions_instruments (instrument_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- The last instrument id given out; its row also orders those who add instruments.
CREATE TABLE definitions_counters (
    name VARCHAR(32) NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Which contents of each dataset have been served.
CREATE TABLE definitions_dataset_versions (
    dataset VARCHAR(32) NOT NULL,
    version BIGINT NOT NULL,
    digest CHAR(64) NOT NULL,
    row_count BIGINT NOT NULL,
    loaded BIGINT NOT NULL,
    PRIMARY KEY (dataset, version)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Venue numbers stand in packed records for ever; a number never changes its venue.
CREATE TABLE definitions_venue_numbers (
    venue_number INT NOT NULL,
    mic CHAR(4) NOT NULL,
    PRIMARY KEY (venue_number),
    UNIQUE KEY definitions_venue_mic (mic)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
