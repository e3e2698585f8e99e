-- The asset in which a side of a trade paid its fee, if it is not the one that it received.
ALTER TABLE order_events ADD COLUMN fee_asset_id INTEGER;
ALTER TABLE trades ADD COLUMN taker_fee_asset_id INTEGER;
ALTER TABLE trades ADD COLUMN maker_fee_asset_id INTEGER;
