-- What operators have asked for: who, what and why, and why it was refused, if it was.
CREATE TABLE operator_log (
    partition_id INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    time         INTEGER NOT NULL,
    operator     TEXT NOT NULL,
    action       TEXT NOT NULL,
    reason       TEXT NOT NULL,
    refused      TEXT,
    PRIMARY KEY (partition_id, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX operator_log_by_time ON operator_log (time, partition_id, sequence);
