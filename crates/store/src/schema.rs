//! The tables, as the writer and the readers see them. Their definitions stand in `migrations/`, once for each
//! database; a test holds all three together.

/// A table and how its rows are written.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The columns of the primary key; they are the first ones of `columns`.
    pub(crate) key: usize,
    pub(crate) columns: &'static [&'static str],
    /// Whether a row may be written again with other content. A row of the other tables is a fact: to write one twice
    /// is an error.
    pub(crate) changes: bool,
}

pub(crate) const PROJECTION: Table = Table {
    name: "projection",
    key: 1,
    columns: &["partition_id", "sequence", "time", "complete_from", "log_identity"],
    changes: true,
};

pub(crate) const ASSETS: Table =
    Table { name: "assets", key: 1, columns: &["asset_id", "name", "decimals"], changes: true };

pub(crate) const MARKETS: Table = Table {
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
};

pub(crate) const ACCOUNTS: Table =
    Table { name: "accounts", key: 1, columns: &["account_id", "label", "opened"], changes: true };

pub(crate) const BALANCES: Table =
    Table { name: "balances", key: 2, columns: &["account_id", "asset_id", "free", "held", "updated"], changes: true };

pub(crate) const ORDERS: Table = Table {
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
    ],
    changes: true,
};

pub(crate) const ORDER_EVENTS: Table = Table {
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
    ],
    changes: false,
};

pub(crate) const TRADES: Table = Table {
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
    ],
    changes: false,
};

pub(crate) const LEDGER_ENTRIES: Table = Table {
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
};

pub(crate) const TRANSFERS: Table = Table {
    name: "transfers",
    key: 2,
    columns: &["account_id", "transfer_id", "asset_id", "amount", "time", "sequence"],
    changes: false,
};

pub(crate) const PREVENTED_MATCHES: Table = Table {
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
    ],
    changes: false,
};

pub(crate) const FEE_PAYOUTS: Table = Table {
    name: "fee_payouts",
    key: 2,
    columns: &["partition_id", "transfer_id", "asset_id", "amount", "time", "sequence"],
    changes: false,
};

pub(crate) const CANDLES: Table = Table {
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
};

/// All tables.
pub(crate) const TABLES: [&Table; 13] = [
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
];

/// Columns that hold amounts. They are read as text, since no database driver has 128-bit integers.
pub(crate) const AMOUNTS: &[&str] = &[
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
];

impl Table {
    /// The columns as a select list, amounts as text.
    pub(crate) fn selection(&self) -> String {
        let table = self.name;
        let column = |name: &&str| match AMOUNTS.contains(name) {
            true => format!("CAST({table}.{name} AS CHAR(41)) AS {name}"),
            false => format!("{table}.{name} AS {name}"),
        };
        self.columns.iter().map(column).collect::<Vec<_>>().join(", ")
    }
}
