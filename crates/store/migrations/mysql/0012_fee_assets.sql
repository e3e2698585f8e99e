-- The asset in which a side of a trade paid its fee, if it is not the one that it received. Each table is changed if it was not yet, so
-- that this can be repeated.
SET @change = IF(
    (SELECT COUNT(*) FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name = 'order_events' AND column_name = 'fee_asset_id') > 0,
    'DO 0',
    'ALTER TABLE order_events ADD COLUMN fee_asset_id BIGINT');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;
SET @change = IF(
    (SELECT COUNT(*) FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name = 'trades' AND column_name = 'maker_fee_asset_id') > 0,
    'DO 0',
    'ALTER TABLE trades ADD COLUMN taker_fee_asset_id BIGINT, ADD COLUMN maker_fee_asset_id BIGINT');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;
