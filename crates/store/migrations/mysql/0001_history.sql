-- The history of a venue. The other database has the same tables, columns and keys; a test holds the two together.
-- Times are microseconds since the Unix epoch. Amounts are whole numbers of the asset's smallest unit.

-- How far the tables have come: one row for each partition of the venue. It is written in the same transaction as the rows.
-- Rows of the commands up to complete_from are missing, because the log no longer had them; 0: none are. The log's identity keeps
-- two venues from writing into one history.
CREATE TABLE projection (
    partition_id  BIGINT NOT NULL,
    sequence      BIGINT NOT NULL,
    time          BIGINT NOT NULL,
    complete_from BIGINT NOT NULL,
    log_identity  VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (partition_id)
) ENGINE = InnoDB;

-- Assets; the smallest unit is 10^-decimals.
CREATE TABLE assets (
    asset_id BIGINT NOT NULL,
    name     VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    decimals BIGINT NOT NULL,
    PRIMARY KEY (asset_id)
) ENGINE = InnoDB;

-- Markets; a tick is tick_size of the quote asset for a whole base asset, a lot is step_size of the base asset.
CREATE TABLE markets (
    symbol_id      BIGINT NOT NULL,
    symbol         VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    base_asset_id  BIGINT NOT NULL,
    quote_asset_id BIGINT NOT NULL,
    tick_size      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    step_size      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    maker_fee      VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    taker_fee      VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status         VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (symbol_id)
) ENGINE = InnoDB;

-- Accounts of clients. The numbers below 1001 are the venue itself: 1 the world outside, 2 its fees.
CREATE TABLE accounts (
    account_id BIGINT NOT NULL,
    label      VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    opened     BIGINT NOT NULL,
    PRIMARY KEY (account_id)
) ENGINE = InnoDB;

-- What accounts have now, in smallest units.
CREATE TABLE balances (
    account_id BIGINT NOT NULL,
    asset_id   BIGINT NOT NULL,
    free       DECIMAL(39,0) NOT NULL,
    held       DECIMAL(39,0) NOT NULL,
    updated    BIGINT NOT NULL,
    PRIMARY KEY (account_id, asset_id)
) ENGINE = InnoDB;

-- Every order ever accepted, as it is now. Prices in ticks, quantities in lots, amounts in smallest units.
CREATE TABLE orders (
    symbol_id             BIGINT NOT NULL,
    order_id              BIGINT NOT NULL,
    account_id            BIGINT NOT NULL,
    client_order_id       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    side                  VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    order_type            VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    time_in_force         VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    price                 BIGINT,
    quantity              BIGINT,
    quote_quantity        DECIMAL(39,0),
    stop_price            BIGINT,
    self_trade_prevention VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status                VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    executed              BIGINT NOT NULL,
    executed_quote        DECIMAL(39,0) NOT NULL,
    placed                BIGINT NOT NULL,
    updated               BIGINT NOT NULL,
    working_since         BIGINT,
    cancel_id             VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    PRIMARY KEY (symbol_id, order_id),
    KEY orders_by_account (account_id, symbol_id, placed, order_id),
    KEY orders_by_name (account_id, symbol_id, client_order_id, order_id)
) ENGINE = InnoDB;

-- What happened to each order, in order: PLACED, TRIGGERED, TRADED, and how it ended.
CREATE TABLE order_events (
    symbol_id  BIGINT NOT NULL,
    order_id   BIGINT NOT NULL,
    sequence   BIGINT NOT NULL,
    ordinal    BIGINT NOT NULL,
    account_id BIGINT NOT NULL,
    kind       VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    time       BIGINT NOT NULL,
    trade_id   BIGINT,
    price      BIGINT,
    quantity   BIGINT,
    quote      DECIMAL(39,0),
    fee        DECIMAL(39,0),
    maker      SMALLINT,
    PRIMARY KEY (symbol_id, order_id, sequence, ordinal)
) ENGINE = InnoDB;

-- Every trade. Fees are in the asset that the side received.
CREATE TABLE trades (
    symbol_id        BIGINT NOT NULL,
    trade_id         BIGINT NOT NULL,
    aggregate_id     BIGINT NOT NULL,
    time             BIGINT NOT NULL,
    price            BIGINT NOT NULL,
    quantity         BIGINT NOT NULL,
    quote            DECIMAL(39,0) NOT NULL,
    taker_side       VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    taker_order_id   BIGINT NOT NULL,
    taker_account_id BIGINT NOT NULL,
    taker_fee        DECIMAL(39,0) NOT NULL,
    maker_order_id   BIGINT NOT NULL,
    maker_account_id BIGINT NOT NULL,
    maker_fee        DECIMAL(39,0) NOT NULL,
    PRIMARY KEY (symbol_id, trade_id),
    KEY trades_by_time (symbol_id, time, trade_id),
    KEY trades_by_aggregate (symbol_id, aggregate_id, trade_id),
    KEY trades_by_taker (taker_account_id, symbol_id, trade_id),
    KEY trades_by_maker (maker_account_id, symbol_id, trade_id)
) ENGINE = InnoDB;

-- Double entry: the entries of each event sum to zero for every asset, and those of an account to what it has.
CREATE TABLE ledger_entries (
    partition_id BIGINT NOT NULL,
    sequence     BIGINT NOT NULL,
    ordinal      BIGINT NOT NULL,
    account_id   BIGINT NOT NULL,
    asset_id     BIGINT NOT NULL,
    amount       DECIMAL(39,0) NOT NULL,
    kind         VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    time         BIGINT NOT NULL,
    symbol_id    BIGINT,
    trade_id     BIGINT,
    transfer_id  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    PRIMARY KEY (partition_id, sequence, ordinal)
) ENGINE = InnoDB;

-- Deposits, and withdrawals below zero.
CREATE TABLE transfers (
    account_id  BIGINT NOT NULL,
    transfer_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    asset_id    BIGINT NOT NULL,
    amount      DECIMAL(39,0) NOT NULL,
    time        BIGINT NOT NULL,
    sequence    BIGINT NOT NULL,
    PRIMARY KEY (account_id, transfer_id)
) ENGINE = InnoDB;

-- The trades of each stretch of time with trades, for each interval, by UTC. Volumes in smallest units.
CREATE TABLE candles (
    symbol_id              BIGINT NOT NULL,
    candle_interval        VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    open_time              BIGINT NOT NULL,
    open                   BIGINT NOT NULL,
    high                   BIGINT NOT NULL,
    low                    BIGINT NOT NULL,
    close                  BIGINT NOT NULL,
    volume                 DECIMAL(39,0) NOT NULL,
    quote_volume           DECIMAL(39,0) NOT NULL,
    taker_buy_volume       DECIMAL(39,0) NOT NULL,
    taker_buy_quote_volume DECIMAL(39,0) NOT NULL,
    trades                 BIGINT NOT NULL,
    first_trade            BIGINT NOT NULL,
    last_trade             BIGINT NOT NULL,
    PRIMARY KEY (symbol_id, candle_interval, open_time)
) ENGINE = InnoDB;
