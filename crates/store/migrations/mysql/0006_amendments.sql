-- Orders whose quantity was lowered: the quantities and the client's names before and after, how often with this time, and the command.
CREATE TABLE IF NOT EXISTS order_amendments (
    symbol_id              BIGINT NOT NULL,
    order_id               BIGINT NOT NULL,
    amendment              BIGINT NOT NULL,
    account_id             BIGINT NOT NULL,
    sequence               BIGINT NOT NULL,
    time                   BIGINT NOT NULL,
    quantity               BIGINT NOT NULL,
    quantity_before        BIGINT NOT NULL,
    client_order_id        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    client_order_id_before VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (symbol_id, order_id, amendment)
) ENGINE = InnoDB;
