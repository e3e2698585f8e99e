-- The trade group of an order, and of a prevented match: then also the other account, if the resting order was another's.
ALTER TABLE prevented_matches ADD COLUMN maker_account_id INTEGER;
ALTER TABLE prevented_matches ADD COLUMN trade_group_id INTEGER;
ALTER TABLE orders ADD COLUMN trade_group_id INTEGER;
