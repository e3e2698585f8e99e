-- What changed an account's balances is found by the account and the time. The index is made if it is not there, so that this can be repeated.
SET @change = IF(
    (SELECT COUNT(*) FROM information_schema.statistics
     WHERE table_schema = DATABASE() AND table_name = 'ledger_entries' AND index_name = 'ledger_by_account') > 0,
    'DO 0',
    'ALTER TABLE ledger_entries ADD KEY ledger_by_account (account_id, time, partition_id, sequence, ordinal)');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;

-- The fees that each market has collected on each day by UTC, counted from 1970, in smallest units. Days before this table are not here.
CREATE TABLE IF NOT EXISTS revenue (
    symbol_id BIGINT NOT NULL,
    day       BIGINT NOT NULL,
    asset_id  BIGINT NOT NULL,
    collected DECIMAL(39,0) NOT NULL,
    PRIMARY KEY (symbol_id, day, asset_id),
    KEY revenue_by_day (day, symbol_id, asset_id)
) ENGINE = InnoDB;
