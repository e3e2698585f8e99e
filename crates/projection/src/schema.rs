//! The tables of the history, as writers and readers see them. Their definitions are in the store's `migrations/`, one
//! for each database; a test of the store compares all three.

/// The word for why an order expired that was amended to no more than had traded.
pub const AMENDED_TO_ITS_END: &str = "AMENDED";

/// A table and how its rows are written.
#[derive(Debug)]
pub struct Table {
    /// The name of the table.
    pub name: &'static str,
    /// The columns of the primary key; they are the first ones of `columns`.
    pub key: usize,
    /// The names of all columns.
    pub columns: &'static [&'static str],
    /// Whether a row may be written again with other content. A row of the other tables is a fact: to write one twice
    /// is an error.
    pub changes: bool,
    /// Numbers of columns, ascending, after which most rows have nothing but NULL: such rows are written without the
    /// rest, since each value that is bound takes time. A row that has once had something there has it for ever.
    pub widths: &'static [usize],
}

/// The position of each partition's tables.
pub const PROJECTION: Table = Table {
    name: "projection",
    key: 1,
    columns: &["partition_id", "sequence", "time", "complete_from", "log_identity"],
    changes: true,
    widths: &[],
};

/// Assets, by id.
pub const ASSETS: Table =
    Table { name: "assets", key: 1, columns: &["asset_id", "name", "decimals"], changes: true, widths: &[] };

/// Markets, by id.
pub const MARKETS: Table = Table {
    name: "markets",
    key: 1,
    columns: &[
        "symbol_id",
        "symbol",
        "base_asset_id",
        "quote_asset_id",
        "tick_size",
        "step_size",
        "maker_fee",
        "taker_fee",
        "status",
    ],
    changes: true,
    widths: &[],
};

/// Accounts, by id.
pub const ACCOUNTS: Table =
    Table { name: "accounts", key: 1, columns: &["account_id", "label", "opened"], changes: true, widths: &[] };

/// Balances, by account and asset.
pub const BALANCES: Table = Table {
    name: "balances",
    key: 2,
    columns: &["account_id", "asset_id", "free", "held", "updated"],
    changes: true,
    widths: &[],
};

/// Orders as they are now, by market and id.
pub const ORDERS: Table = Table {
    name: "orders",
    key: 2,
    columns: &[
        "symbol_id",
        "order_id",
        "account_id",
        "client_order_id",
        "side",
        "order_type",
        "time_in_force",
        "price",
        "quantity",
        "quote_quantity",
        "stop_price",
        "self_trade_prevention",
        "status",
        "executed",
        "executed_quote",
        "placed",
        "updated",
        "working_since",
        "cancel_id",
        "expiry_reason",
        "prevented",
        "prevented_match_id",
        "strategy_id",
        "strategy_type",
        "iceberg_quantity",
        "order_list_id",
        "trailing_delta",
        "trailing_since",
        "peg_price_type",
        "peg_level",
        "pegged_price",
        "trade_group_id",
    ],
    changes: true,
    widths: &[20],
};

/// What happened to each order.
pub const ORDER_EVENTS: Table = Table {
    name: "order_events",
    key: 4,
    columns: &[
        "symbol_id",
        "order_id",
        "sequence",
        "ordinal",
        "account_id",
        "kind",
        "time",
        "trade_id",
        "price",
        "quantity",
        "quote",
        "fee",
        "maker",
        "fee_asset_id",
    ],
    changes: false,
    widths: &[7, 13],
};

/// Trades, by market and id.
pub const TRADES: Table = Table {
    name: "trades",
    key: 2,
    columns: &[
        "symbol_id",
        "trade_id",
        "aggregate_id",
        "time",
        "price",
        "quantity",
        "quote",
        "taker_side",
        "taker_order_id",
        "taker_account_id",
        "taker_fee",
        "maker_order_id",
        "maker_account_id",
        "maker_fee",
        "taker_fee_asset_id",
        "maker_fee_asset_id",
    ],
    changes: false,
    widths: &[14],
};

/// Postings to accounts.
pub const LEDGER_ENTRIES: Table = Table {
    name: "ledger_entries",
    key: 3,
    columns: &[
        "partition_id",
        "sequence",
        "ordinal",
        "account_id",
        "asset_id",
        "amount",
        "kind",
        "time",
        "symbol_id",
        "trade_id",
        "transfer_id",
    ],
    changes: false,
    widths: &[],
};

/// Deposits and withdrawals.
pub const TRANSFERS: Table = Table {
    name: "transfers",
    key: 2,
    columns: &["account_id", "transfer_id", "asset_id", "amount", "time", "sequence"],
    changes: false,
    widths: &[],
};

/// Trades of an account with itself, or within a trade group, that were prevented.
pub const PREVENTED_MATCHES: Table = Table {
    name: "prevented_matches",
    key: 2,
    columns: &[
        "symbol_id",
        "prevented_match_id",
        "account_id",
        "time",
        "taker_side",
        "taker_order_id",
        "maker_order_id",
        "self_trade_prevention",
        "price",
        "quantity",
        "quote",
        "taker_prevented",
        "maker_prevented",
        "maker_account_id",
        "trade_group_id",
    ],
    changes: false,
    widths: &[],
};

/// Orders whose quantity was lowered.
pub const ORDER_AMENDMENTS: Table = Table {
    name: "order_amendments",
    key: 3,
    columns: &[
        "symbol_id",
        "order_id",
        "amendment",
        "account_id",
        "sequence",
        "time",
        "quantity",
        "quantity_before",
        "client_order_id",
        "client_order_id_before",
    ],
    changes: false,
    widths: &[],
};

/// Order lists, by market and id.
pub const ORDER_LISTS: Table = Table {
    name: "order_lists",
    key: 2,
    columns: &[
        "symbol_id",
        "order_list_id",
        "account_id",
        "kind",
        "client_order_id",
        "order_names",
        "status",
        "placed",
        "updated",
    ],
    changes: true,
    widths: &[],
};

/// Payments of collected fees.
pub const FEE_PAYOUTS: Table = Table {
    name: "fee_payouts",
    key: 2,
    columns: &["partition_id", "transfer_id", "asset_id", "amount", "time", "sequence"],
    changes: false,
    widths: &[],
};

/// What operators have asked for, by partition and command.
pub const OPERATOR_LOG: Table = Table {
    name: "operator_log",
    key: 2,
    columns: &["partition_id", "sequence", "time", "operator", "action", "reason", "refused"],
    changes: false,
    widths: &[],
};

/// Candles, by market, interval and open time.
pub const CANDLES: Table = Table {
    name: "candles",
    key: 3,
    columns: &[
        "symbol_id",
        "candle_interval",
        "open_time",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "quote_volume",
        "taker_buy_volume",
        "taker_buy_quote_volume",
        "trades",
        "first_trade",
        "last_trade",
    ],
    changes: true,
    widths: &[],
};

/// Collected fees, by market, day and asset.
pub const REVENUE: Table = Table {
    name: "revenue",
    key: 3,
    columns: &["symbol_id", "day", "asset_id", "collected"],
    changes: true,
    widths: &[],
};

/// All tables.
pub const TABLES: [&Table; 17] = [
    &PROJECTION,
    &ASSETS,
    &MARKETS,
    &ACCOUNTS,
    &BALANCES,
    &ORDERS,
    &ORDER_EVENTS,
    &TRADES,
    &LEDGER_ENTRIES,
    &TRANSFERS,
    &CANDLES,
    &PREVENTED_MATCHES,
    &FEE_PAYOUTS,
    &ORDER_AMENDMENTS,
    &ORDER_LISTS,
    &OPERATOR_LOG,
    &REVENUE,
];

/// Columns that hold amounts. They are read as text, since no database driver has 128-bit integers.
pub const AMOUNTS: &[&str] = &[
    "free",
    "held",
    "quote_quantity",
    "executed_quote",
    "quote",
    "fee",
    "taker_fee",
    "maker_fee",
    "amount",
    "volume",
    "quote_volume",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "collected",
];

impl Table {
    /// The columns as a select list, amounts as text.
    #[must_use]
    pub fn selection(&self) -> String {
        let table = self.name;
        let column = |name: &&str| match AMOUNTS.contains(name) {
            true => format!("CAST({table}.{name} AS CHAR(41)) AS {name}"),
            false => format!("{table}.{name} AS {name}"),
        };
        self.columns.iter().map(column).collect::<Vec<_>>().join(", ")
    }
}
