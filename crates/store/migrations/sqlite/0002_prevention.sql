-- Why orders expired, what self-trade prevention kept from trading, and fees that were paid out.

-- Why the order expired (rows from before have nothing here), how many lots of it expired because it would have traded with another of
-- its account, and the last match because of which some did.
ALTER TABLE orders ADD COLUMN expiry_reason TEXT;
ALTER TABLE orders ADD COLUMN prevented INTEGER;
ALTER TABLE orders ADD COLUMN prevented_match_id INTEGER;
CREATE INDEX orders_by_update ON orders (account_id, symbol_id, updated, order_id);

-- Two orders of one account that would have traded at that price. What expired of each is 0 where its order went on.
CREATE TABLE prevented_matches (
    symbol_id             INTEGER NOT NULL,
    prevented_match_id    INTEGER NOT NULL,
    account_id            INTEGER NOT NULL,
    time                  INTEGER NOT NULL,
    taker_side            TEXT NOT NULL,
    taker_order_id        INTEGER NOT NULL,
    maker_order_id        INTEGER NOT NULL,
    self_trade_prevention TEXT NOT NULL,
    price                 INTEGER NOT NULL,
    quantity              INTEGER NOT NULL,
    quote                 TEXT NOT NULL,
    taker_prevented       INTEGER NOT NULL,
    maker_prevented       INTEGER NOT NULL,
    PRIMARY KEY (symbol_id, prevented_match_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX prevented_by_taker ON prevented_matches (symbol_id, taker_order_id, prevented_match_id);
CREATE INDEX prevented_by_maker ON prevented_matches (symbol_id, maker_order_id, prevented_match_id);

-- Collected fees that were paid out; the partition is the one that had collected them.
CREATE TABLE fee_payouts (
    partition_id INTEGER NOT NULL,
    transfer_id  TEXT NOT NULL,
    asset_id     INTEGER NOT NULL,
    amount       TEXT NOT NULL,
    time         INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    PRIMARY KEY (partition_id, transfer_id)
) STRICT, WITHOUT ROWID;
