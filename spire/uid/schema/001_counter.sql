-- The next identifier that was never reserved: one row.
CREATE TABLE uid_counter (
    id TINYINT NOT NULL PRIMARY KEY,
    next_id BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
