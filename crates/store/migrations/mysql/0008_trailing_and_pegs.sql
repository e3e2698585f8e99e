-- How far the price has to come back to trigger an order that trails it, in hundredths of a percent, and since when it
-- trails. Where a pegged order takes its price from, so many levels behind the best one, and the price that it got. The
-- last column tells that all are there.
ALTER TABLE orders
    ADD COLUMN trailing_delta BIGINT,
    ADD COLUMN trailing_since BIGINT,
    ADD COLUMN peg_price_type VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin,
    ADD COLUMN peg_level BIGINT,
    ADD COLUMN pegged_price BIGINT;
