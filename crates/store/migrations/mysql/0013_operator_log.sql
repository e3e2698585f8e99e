-- What operators have asked for: who, what and why, and why it was refused, if it was.
CREATE TABLE IF NOT EXISTS operator_log (
    partition_id BIGINT NOT NULL,
    sequence     BIGINT NOT NULL,
    time         BIGINT NOT NULL,
    operator     VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    action       VARCHAR(1000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    reason       VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    refused      VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    PRIMARY KEY (partition_id, sequence),
    KEY operator_log_by_time (time, partition_id, sequence)
) ENGINE = InnoDB;
