-- The trade group of an order, and of a prevented match: then also the other account, if the resting order was another's. Each table is
-- changed if it was not yet, so that this can be repeated.
SET @change = IF(
    (SELECT COUNT(*) FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name = 'prevented_matches' AND column_name = 'trade_group_id') > 0,
    'DO 0',
    'ALTER TABLE prevented_matches ADD COLUMN maker_account_id BIGINT, ADD COLUMN trade_group_id BIGINT');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;
SET @change = IF(
    (SELECT COUNT(*) FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name = 'orders' AND column_name = 'trade_group_id') > 0,
    'DO 0',
    'ALTER TABLE orders ADD COLUMN trade_group_id BIGINT');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;
