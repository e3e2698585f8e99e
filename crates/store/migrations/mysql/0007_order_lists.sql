-- Order lists as they are now. Their orders have successive numbers, from the list's number divided by 65536; order_names are
-- the client's names for these, with spaces between them.
CREATE TABLE IF NOT EXISTS order_lists (
    symbol_id       BIGINT NOT NULL,
    order_list_id   BIGINT NOT NULL,
    account_id      BIGINT NOT NULL,
    kind            VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    client_order_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    order_names     VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status          VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    placed          BIGINT NOT NULL,
    updated         BIGINT NOT NULL,
    PRIMARY KEY (symbol_id, order_list_id),
    KEY order_lists_by_account (account_id, order_list_id),
    KEY order_lists_by_update (account_id, updated, order_list_id),
    KEY order_lists_by_name (account_id, client_order_id, order_list_id)
) ENGINE = InnoDB;

-- The order list that an order belongs to.
ALTER TABLE orders ADD COLUMN order_list_id BIGINT;
