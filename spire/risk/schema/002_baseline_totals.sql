-- What an account had realised and paid when a record was taken is kept by currency; rows by instrument are of what it held.
CREATE TABLE risk_baseline_totals (
    trading_account_id BIGINT NOT NULL,
    number BIGINT NOT NULL,
    currency CHAR(3) NOT NULL,
    realised BIGINT NOT NULL,
    fees BIGINT NOT NULL,
    PRIMARY KEY (trading_account_id, number, currency)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

INSERT IGNORE INTO risk_baseline_totals (trading_account_id, number, currency, realised, fees)
    SELECT trading_account_id, number, currency, SUM(realised), SUM(fees)
    FROM risk_baseline_positions
    GROUP BY trading_account_id, number, currency;

DELETE FROM risk_baseline_positions WHERE quantity = 0;

ALTER TABLE risk_baseline_positions DROP COLUMN realised, DROP COLUMN fees;
