-- Order lists as they are now. Their orders have successive numbers, from the list's number divided by 65536; order_names are
-- the client's names for these, with spaces between them.
CREATE TABLE order_lists (
    symbol_id       INTEGER NOT NULL,
    order_list_id   INTEGER NOT NULL,
    account_id      INTEGER NOT NULL,
    kind            TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    order_names     TEXT NOT NULL,
    status          TEXT NOT NULL,
    placed          INTEGER NOT NULL,
    updated         INTEGER NOT NULL,
    PRIMARY KEY (symbol_id, order_list_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_lists_by_account ON order_lists (account_id, order_list_id);
CREATE INDEX order_lists_by_update ON order_lists (account_id, updated, order_list_id);
CREATE INDEX order_lists_by_name ON order_lists (account_id, client_order_id, order_list_id);

-- The order list that an order belongs to.
ALTER TABLE orders ADD COLUMN order_list_id INTEGER;
