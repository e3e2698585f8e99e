-- The client's numbers for the strategy of an order. The last column tells that all are there.
ALTER TABLE orders
    ADD COLUMN strategy_id   BIGINT,
    ADD COLUMN strategy_type BIGINT;
