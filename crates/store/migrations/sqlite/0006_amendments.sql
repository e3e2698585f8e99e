-- Orders whose quantity was lowered: the quantities and the client's names before and after, how often with this time, and the command.
CREATE TABLE order_amendments (
    symbol_id              INTEGER NOT NULL,
    order_id               INTEGER NOT NULL,
    amendment              INTEGER NOT NULL,
    account_id             INTEGER NOT NULL,
    sequence               INTEGER NOT NULL,
    time                   INTEGER NOT NULL,
    quantity               INTEGER NOT NULL,
    quantity_before        INTEGER NOT NULL,
    client_order_id        TEXT NOT NULL,
    client_order_id_before TEXT NOT NULL,
    PRIMARY KEY (symbol_id, order_id, amendment)
) STRICT, WITHOUT ROWID;
