-- How much of an iceberg order shows at a time.
ALTER TABLE orders ADD COLUMN iceberg_quantity INTEGER;
