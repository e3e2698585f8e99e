-- Why orders expired, what self-trade prevention kept from trading, and fees that were paid out. The new columns come last: that they are
-- there tells that all is.

-- Two orders of one account that would have traded at that price. What expired of each is 0 where its order went on.
CREATE TABLE IF NOT EXISTS prevented_matches (
    symbol_id             BIGINT NOT NULL,
    prevented_match_id    BIGINT NOT NULL,
    account_id            BIGINT NOT NULL,
    time                  BIGINT NOT NULL,
    taker_side            VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    taker_order_id        BIGINT NOT NULL,
    maker_order_id        BIGINT NOT NULL,
    self_trade_prevention VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    price                 BIGINT NOT NULL,
    quantity              BIGINT NOT NULL,
    quote                 DECIMAL(39,0) NOT NULL,
    taker_prevented       BIGINT NOT NULL,
    maker_prevented       BIGINT NOT NULL,
    PRIMARY KEY (symbol_id, prevented_match_id),
    KEY prevented_by_taker (symbol_id, taker_order_id, prevented_match_id),
    KEY prevented_by_maker (symbol_id, maker_order_id, prevented_match_id)
) ENGINE = InnoDB;

-- Collected fees that were paid out; the partition is the one that had collected them.
CREATE TABLE IF NOT EXISTS fee_payouts (
    partition_id BIGINT NOT NULL,
    transfer_id  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    asset_id     BIGINT NOT NULL,
    amount       DECIMAL(39,0) NOT NULL,
    time         BIGINT NOT NULL,
    sequence     BIGINT NOT NULL,
    PRIMARY KEY (partition_id, transfer_id)
) ENGINE = InnoDB;

-- Why the order expired (rows from before have nothing here), how many lots of it expired because it would have traded with another of
-- its account, and the last match because of which some did.
ALTER TABLE orders
    ADD COLUMN expiry_reason      VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
    ADD COLUMN prevented          BIGINT,
    ADD COLUMN prevented_match_id BIGINT,
    ADD KEY orders_by_update (account_id, symbol_id, updated, order_id);
