-- How far the price has to come back to trigger an order that trails it, in hundredths of a percent, and since when it
-- trails. Where a pegged order takes its price from, so many levels behind the best one, and the price that it got. The
-- last column tells that all are there.
ALTER TABLE orders ADD COLUMN trailing_delta INTEGER;
ALTER TABLE orders ADD COLUMN trailing_since INTEGER;
ALTER TABLE orders ADD COLUMN peg_price_type TEXT;
ALTER TABLE orders ADD COLUMN peg_level INTEGER;
ALTER TABLE orders ADD COLUMN pegged_price INTEGER;
