-- What changed an account's balances is found by the account and the time.
CREATE INDEX ledger_by_account ON ledger_entries (account_id, time, partition_id, sequence, ordinal);

-- The fees that each market has collected on each day by UTC, counted from 1970, in smallest units. Days before this table are not here.
CREATE TABLE revenue (
    symbol_id INTEGER NOT NULL,
    day       INTEGER NOT NULL,
    asset_id  INTEGER NOT NULL,
    collected TEXT NOT NULL,
    PRIMARY KEY (symbol_id, day, asset_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX revenue_by_day ON revenue (day, symbol_id, asset_id);
