-- The history of a venue. The other database has the same tables, columns and keys; a test holds the two together.
-- Times are microseconds since the Unix epoch. Amounts are whole numbers of the asset's smallest unit, as text: they have up to 128 bits.

-- How far the tables have come: one row for each partition of the venue. It is written in the same transaction as the rows.
-- Rows of the commands up to complete_from are missing, because the log no longer had them; 0: none are. The log's identity keeps
-- two venues from writing into one history.
CREATE TABLE projection (
    partition_id  INTEGER NOT NULL,
    sequence      INTEGER NOT NULL,
    time          INTEGER NOT NULL,
    complete_from INTEGER NOT NULL,
    log_identity  TEXT NOT NULL,
    PRIMARY KEY (partition_id)
) STRICT, WITHOUT ROWID;

-- Assets; the smallest unit is 10^-decimals.
CREATE TABLE assets (
    asset_id INTEGER NOT NULL,
    name     TEXT NOT NULL,
    decimals INTEGER NOT NULL,
    PRIMARY KEY (asset_id)
) STRICT, WITHOUT ROWID;

-- Markets; a tick is tick_size of the quote asset for a whole base asset, a lot is step_size of the base asset.
CREATE TABLE markets (
    symbol_id      INTEGER NOT NULL,
    symbol         TEXT NOT NULL,
    base_asset_id  INTEGER NOT NULL,
    quote_asset_id INTEGER NOT NULL,
    tick_size      TEXT NOT NULL,
    step_size      TEXT NOT NULL,
    maker_fee      TEXT NOT NULL,
    taker_fee      TEXT NOT NULL,
    status         TEXT NOT NULL,
    PRIMARY KEY (symbol_id)
) STRICT, WITHOUT ROWID;

-- Accounts of clients. The numbers below 1001 are the venue itself: 1 the world outside, 2 its fees.
CREATE TABLE accounts (
    account_id INTEGER NOT NULL,
    label      TEXT NOT NULL,
    opened     INTEGER NOT NULL,
    PRIMARY KEY (account_id)
) STRICT, WITHOUT ROWID;

-- What accounts have now, in smallest units.
CREATE TABLE balances (
    account_id INTEGER NOT NULL,
    asset_id   INTEGER NOT NULL,
    free       TEXT NOT NULL,
    held       TEXT NOT NULL,
    updated    INTEGER NOT NULL,
    PRIMARY KEY (account_id, asset_id)
) STRICT, WITHOUT ROWID;

-- Every order ever accepted, as it is now. Prices in ticks, quantities in lots, amounts in smallest units.
CREATE TABLE orders (
    symbol_id             INTEGER NOT NULL,
    order_id              INTEGER NOT NULL,
    account_id            INTEGER NOT NULL,
    client_order_id       TEXT NOT NULL,
    side                  TEXT NOT NULL,
    order_type            TEXT NOT NULL,
    time_in_force         TEXT NOT NULL,
    price                 INTEGER,
    quantity              INTEGER,
    quote_quantity        TEXT,
    stop_price            INTEGER,
    self_trade_prevention TEXT NOT NULL,
    status                TEXT NOT NULL,
    executed              INTEGER NOT NULL,
    executed_quote        TEXT NOT NULL,
    placed                INTEGER NOT NULL,
    updated               INTEGER NOT NULL,
    working_since         INTEGER,
    cancel_id             TEXT,
    PRIMARY KEY (symbol_id, order_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX orders_by_account ON orders (account_id, symbol_id, placed, order_id);
CREATE INDEX orders_by_name ON orders (account_id, symbol_id, client_order_id, order_id);

-- What happened to each order, in order: PLACED, TRIGGERED, TRADED, and how it ended.
CREATE TABLE order_events (
    symbol_id  INTEGER NOT NULL,
    order_id   INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    ordinal    INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    time       INTEGER NOT NULL,
    trade_id   INTEGER,
    price      INTEGER,
    quantity   INTEGER,
    quote      TEXT,
    fee        TEXT,
    maker      INTEGER,
    PRIMARY KEY (symbol_id, order_id, sequence, ordinal)
) STRICT, WITHOUT ROWID;

-- Every trade. Fees are in the asset that the side received.
CREATE TABLE trades (
    symbol_id        INTEGER NOT NULL,
    trade_id         INTEGER NOT NULL,
    aggregate_id     INTEGER NOT NULL,
    time             INTEGER NOT NULL,
    price            INTEGER NOT NULL,
    quantity         INTEGER NOT NULL,
    quote            TEXT NOT NULL,
    taker_side       TEXT NOT NULL,
    taker_order_id   INTEGER NOT NULL,
    taker_account_id INTEGER NOT NULL,
    taker_fee        TEXT NOT NULL,
    maker_order_id   INTEGER NOT NULL,
    maker_account_id INTEGER NOT NULL,
    maker_fee        TEXT NOT NULL,
    PRIMARY KEY (symbol_id, trade_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX trades_by_time ON trades (symbol_id, time, trade_id);
CREATE INDEX trades_by_aggregate ON trades (symbol_id, aggregate_id, trade_id);
CREATE INDEX trades_by_taker ON trades (taker_account_id, symbol_id, trade_id);
CREATE INDEX trades_by_maker ON trades (maker_account_id, symbol_id, trade_id);

-- Double entry: the entries of each event sum to zero for every asset, and those of an account to what it has.
CREATE TABLE ledger_entries (
    partition_id INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    ordinal      INTEGER NOT NULL,
    account_id   INTEGER NOT NULL,
    asset_id     INTEGER NOT NULL,
    amount       TEXT NOT NULL,
    kind         TEXT NOT NULL,
    time         INTEGER NOT NULL,
    symbol_id    INTEGER,
    trade_id     INTEGER,
    transfer_id  TEXT,
    PRIMARY KEY (partition_id, sequence, ordinal)
) STRICT, WITHOUT ROWID;

-- Deposits, and withdrawals below zero.
CREATE TABLE transfers (
    account_id  INTEGER NOT NULL,
    transfer_id TEXT NOT NULL,
    asset_id    INTEGER NOT NULL,
    amount      TEXT NOT NULL,
    time        INTEGER NOT NULL,
    sequence    INTEGER NOT NULL,
    PRIMARY KEY (account_id, transfer_id)
) STRICT, WITHOUT ROWID;

-- The trades of each stretch of time with trades, for each interval, by UTC. Volumes in smallest units.
CREATE TABLE candles (
    symbol_id              INTEGER NOT NULL,
    candle_interval        TEXT NOT NULL,
    open_time              INTEGER NOT NULL,
    open                   INTEGER NOT NULL,
    high                   INTEGER NOT NULL,
    low                    INTEGER NOT NULL,
    close                  INTEGER NOT NULL,
    volume                 TEXT NOT NULL,
    quote_volume           TEXT NOT NULL,
    taker_buy_volume       TEXT NOT NULL,
    taker_buy_quote_volume TEXT NOT NULL,
    trades                 INTEGER NOT NULL,
    first_trade            INTEGER NOT NULL,
    last_trade             INTEGER NOT NULL,
    PRIMARY KEY (symbol_id, candle_interval, open_time)
) STRICT, WITHOUT ROWID;
