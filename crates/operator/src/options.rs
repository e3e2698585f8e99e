//! The options of `crossbook admin`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::books::Books;

/// Default address of the admin API.
const URL: &str = "http://127.0.0.1:8081";

/// Examples for the help text.
pub const EXAMPLES: &str = "\
Examples:
  Add what a first trade needs (the token is that of the running venue):
    export CROSSBOOK_ADMIN_TOKEN=...
    crossbook admin assets add BTC --decimals 8
    crossbook admin assets add USDT --decimals 8
    crossbook admin markets add BTCUSDT --base BTC --quote USDT --tick-size 0.01 --step-size 0.00001
    crossbook admin accounts open --label alice
    crossbook admin deposit 1001 USDT 100000 --transfer-id first
    crossbook admin keys issue 1001 --permissions READ,TRADE

  The same account's balances, as a table and as JSON:
    crossbook admin accounts show 1001
    crossbook admin --json accounts show 1001 | jq '.balances'

  Stop trading in one market, in all of them, and resume:
    crossbook admin halt BTCUSDT
    crossbook admin halt --all
    crossbook admin resume --all

  Audit a venue on another machine:
    crossbook admin --url https://venue.example:8081 --ca authority.pem audit

Exit status 0: done; 1: the venue could not be reached, or the execution status is unknown; 2: the command line is wrong;
3: the audit has found a violation; 4: the venue refuses.

Environment:
  CROSSBOOK_ADMIN_TOKEN  the venue's admin token
  CROSSBOOK_ADMIN_URL    the default of --url";

/// `crossbook admin`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Admin {
    /// Address of the admin API: http://HOST:PORT, or https://HOST:PORT with TLS.
    #[arg(long, value_name = "URL", env = "CROSSBOOK_ADMIN_URL", default_value = URL, global = true)]
    pub url: String,
    /// PEM file with the authority of the venue's certificate [default: the system's authorities].
    #[arg(long, value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
    /// Timeout for an answer, such as 30s or 5m.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration, global = true)]
    pub timeout: Duration,
    /// Why, for the operator log; at most 500 bytes.
    #[arg(long, value_name = "TEXT", global = true)]
    pub reason: Option<String>,
    /// Print JSON instead of a table.
    #[arg(long, global = true)]
    pub json: bool,
    /// The operation.
    #[command(subcommand)]
    pub what: What,
}

/// Operations of the admin API.
#[derive(Debug, Subcommand)]
pub enum What {
    /// List assets, or add one.
    Assets {
        /// The action; without one, list them.
        #[command(subcommand)]
        action: Option<Assets>,
    },
    /// List markets, add one, or change its rules, fees and status.
    Markets {
        /// The action; without one, list them.
        #[command(subcommand)]
        action: Option<Markets>,
    },
    /// Show a market's trading session, set its circuit breaker, hold an auction, or end its phase.
    Session {
        /// The action.
        #[command(subcommand)]
        action: Session,
    },
    /// List accounts, open one, or show one.
    Accounts {
        /// The action; without one, list them.
        #[command(subcommand)]
        action: Option<Accounts>,
    },
    /// Show what an account pays beside or instead of the markets' fees, or set it.
    Fees {
        /// The action.
        #[command(subcommand)]
        action: Fees,
    },
    /// Show what accounts pay that have traded much, or set it.
    FeeTiers {
        /// The action.
        #[command(subcommand)]
        action: FeeTiers,
    },
    /// Show in which asset fees can be paid and are less, or set it, or who pays in it.
    FeeDiscount {
        /// The action.
        #[command(subcommand)]
        action: FeeDiscount,
    },
    /// List an account's API keys, issue one, or revoke one.
    Keys {
        /// The action.
        #[command(subcommand)]
        action: Keys,
    },
    /// Credit an account.
    Deposit(Transfer),
    /// Debit an account.
    Withdraw(Transfer),
    /// Correct a balance of an account, up or down; --reason says why.
    Adjust(Adjust),
    /// Halt markets: cancels are accepted, new orders are not.
    Halt(Which),
    /// Resume trading in markets.
    Resume(Which),
    /// Show the venue's own accounts, or pay out collected fees.
    Venue {
        /// The action.
        #[command(subcommand)]
        action: Venue,
    },
    /// Show how many orders an account may have open in all markets, or change that.
    ExchangeFilters(ExchangeFilters),
    /// Show the rules that commands are applied under, or activate newer ones after an upgrade.
    Rules(ShowRules),
    /// What has happened.
    #[command(flatten)]
    Books(Books),
    /// Show whose token this is, and which role it has.
    Whoami,
    /// Audit the running venue. The exit status is 3 if it finds a violation.
    Audit,
}

/// Actions on assets.
#[derive(Debug, Subcommand)]
pub enum Assets {
    /// List all assets.
    List,
    /// Add an asset. Repeating it with the same decimals changes nothing.
    Add {
        /// Name: letters and digits of any script, at most 24 bytes.
        asset: String,
        /// Decimals of the smallest unit, 0 to 18; cannot be changed.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(0..=18))]
        decimals: u8,
    },
}

/// Actions on markets.
#[derive(Debug, Subcommand)]
pub enum Markets {
    /// List all markets.
    List,
    /// Add a market.
    Add {
        /// Name of the market, such as BTCUSDT.
        symbol: String,
        /// Base asset, which is bought and sold.
        #[arg(long, value_name = "ASSET")]
        base: String,
        /// Quote asset, in which prices are.
        #[arg(long, value_name = "ASSET")]
        quote: String,
        /// Step of prices.
        #[arg(long, value_name = "DECIMAL")]
        tick_size: String,
        /// Step of quantities. Tick x step must be a whole number of the quote asset's smallest units.
        #[arg(long, value_name = "DECIMAL")]
        step_size: String,
        /// Rules of the market.
        #[command(flatten)]
        rules: Box<Rules>,
    },
    /// Change a market; options that are not given keep their value. New fees apply to orders placed afterwards.
    Change {
        /// Name of the market.
        symbol: String,
        /// New rules of the market.
        #[command(flatten)]
        rules: Box<Rules>,
    },
    /// Delist a market for good: its open orders end, and its name is free for another one.
    Delist {
        /// Name of the market.
        symbol: String,
    },
}

/// Actions on a market's trading session.
#[derive(Debug, Subcommand)]
pub enum Session {
    /// Show the phase, the circuit breaker, the execution rule and the reference price.
    Show {
        /// Name of the market.
        symbol: String,
    },
    /// Set the circuit breaker: an order that would trade further from the recent prices ends, and the market pauses.
    SetBreaker {
        /// Name of the market.
        symbol: String,
        /// How far the price may move, in hundredths of a percent.
        #[arg(long, value_name = "NUMBER")]
        move_bp: u32,
        /// Within how many seconds.
        #[arg(long, value_name = "SECONDS")]
        window_seconds: u32,
        /// For how many seconds only cancels and amendments are accepted then.
        #[arg(long, value_name = "SECONDS")]
        pause_seconds: u32,
        /// For how many seconds orders are then collected for an auction; 0: the market reopens without one.
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        auction_seconds: u32,
    },
    /// Remove the circuit breaker.
    RemoveBreaker {
        /// Name of the market.
        symbol: String,
    },
    /// Set the execution rule: an order that would trade beyond these multiples of the reference price ends.
    SetPriceRange {
        /// Name of the market.
        symbol: String,
        /// Highest price of a buy order, at least 1.
        #[arg(long, value_name = "MULTIPLE")]
        bid_up: Option<String>,
        /// Lowest price of a buy order, at most 1.
        #[arg(long, value_name = "MULTIPLE")]
        bid_down: Option<String>,
        /// Highest price of a sell order, at least 1.
        #[arg(long, value_name = "MULTIPLE")]
        ask_up: Option<String>,
        /// Lowest price of a sell order, at most 1.
        #[arg(long, value_name = "MULTIPLE")]
        ask_down: Option<String>,
    },
    /// Remove the execution rule.
    RemovePriceRange {
        /// Name of the market.
        symbol: String,
    },
    /// Calculate the reference price: as the mean of the market's trades, or elsewhere.
    SetReference {
        /// Name of the market.
        symbol: String,
        /// The window of the mean: how many buckets it has.
        #[arg(long, value_name = "NUMBER", requires = "bucket_width_ms")]
        bucket_count: Option<u32>,
        /// How long a bucket is.
        #[arg(long, value_name = "MILLISECONDS", requires = "bucket_count")]
        bucket_width_ms: Option<u32>,
        /// It is calculated elsewhere, in this of the ways that you have published.
        #[arg(long, value_name = "ID", conflicts_with = "bucket_count", required_unless_present = "bucket_count")]
        external: Option<u32>,
    },
    /// Remove the reference price.
    RemoveReference {
        /// Name of the market.
        symbol: String,
    },
    /// Set the reference price that is calculated elsewhere.
    SetReferencePrice {
        /// Name of the market.
        symbol: String,
        /// The price.
        price: String,
    },
    /// Remove the reference price that is calculated elsewhere; there is none until the next one is set.
    RemoveReferencePrice {
        /// Name of the market.
        symbol: String,
    },
    /// Collect orders for an auction from now on.
    Auction {
        /// Name of the market.
        symbol: String,
        /// For how many seconds; without it, until the phase is ended.
        #[arg(long, value_name = "SECONDS")]
        seconds: Option<u32>,
    },
    /// End the phase before its time: a market that pauses reopens, one that collects orders matches them.
    End {
        /// Name of the market.
        symbol: String,
    },
}

/// Rules of a market. Decimals are passed on unchanged.
#[derive(Debug, Default, Args)]
pub struct Rules {
    /// TRADING, HALT, BREAK or CANCEL_ONLY.
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// Lowest price.
    #[arg(long, value_name = "DECIMAL")]
    pub min_price: Option<String>,
    /// Highest price.
    #[arg(long, value_name = "DECIMAL")]
    pub max_price: Option<String>,
    /// Smallest quantity.
    #[arg(long, value_name = "DECIMAL")]
    pub min_qty: Option<String>,
    /// Largest quantity.
    #[arg(long, value_name = "DECIMAL")]
    pub max_qty: Option<String>,
    /// Largest quantity of a market order.
    #[arg(long, value_name = "DECIMAL")]
    pub market_max_qty: Option<String>,
    /// Smallest notional value of an order, in the quote asset.
    #[arg(long, value_name = "DECIMAL")]
    pub min_notional: Option<String>,
    /// Largest notional value of an order, in the quote asset.
    #[arg(long, value_name = "DECIMAL")]
    pub max_notional: Option<String>,
    /// Highest price of a bid, as a multiple of the average price.
    #[arg(long, value_name = "DECIMAL")]
    pub multiplier_up: Option<String>,
    /// Lowest price of an ask, as a multiple of the average price.
    #[arg(long, value_name = "DECIMAL")]
    pub multiplier_down: Option<String>,
    /// Highest price of an ask, where it is another multiple than that of bids.
    #[arg(long, value_name = "DECIMAL")]
    pub ask_multiplier_up: Option<String>,
    /// Lowest price of an ask, where it is another multiple than that of bids.
    #[arg(long, value_name = "DECIMAL")]
    pub ask_multiplier_down: Option<String>,
    /// Highest price of any order, as a multiple of the average price; 0: no such filter.
    #[arg(long, value_name = "DECIMAL")]
    pub percent_price_up: Option<String>,
    /// Lowest price of any order, as a multiple of the average price; 0: no such filter.
    #[arg(long, value_name = "DECIMAL")]
    pub percent_price_down: Option<String>,
    /// Minutes of the average price that filters compare to, at most 60; 0: the last price.
    #[arg(long, value_name = "NUMBER")]
    pub avg_price_mins: Option<u32>,
    /// Filter of an order's worth: NOTIONAL, MIN_NOTIONAL or NONE.
    #[arg(long, value_name = "FILTER")]
    pub notional_filter: Option<String>,
    /// Whether the smallest notional value holds for market orders.
    #[arg(long, value_name = "BOOLEAN")]
    pub apply_min_to_market: Option<bool>,
    /// Whether the largest notional value holds for market orders.
    #[arg(long, value_name = "BOOLEAN")]
    pub apply_max_to_market: Option<bool>,
    /// The most of the base asset that an account may come to have; 0: no such filter.
    #[arg(long, value_name = "DECIMAL")]
    pub max_position: Option<String>,
    /// Maximum number of open orders of an account.
    #[arg(long, value_name = "NUMBER")]
    pub max_num_orders: Option<u32>,
    /// Maximum number of stop orders of an account.
    #[arg(long, value_name = "NUMBER")]
    pub max_num_algo_orders: Option<u32>,
    /// Whether orders may be pegged.
    #[arg(long, value_name = "BOOLEAN")]
    pub peg_instructions_allowed: Option<bool>,
    /// Maximum number of parts of an iceberg order; 0: no iceberg orders.
    #[arg(long, value_name = "NUMBER")]
    pub iceberg_parts: Option<u32>,
    /// Maximum number of iceberg orders of an account.
    #[arg(long, value_name = "NUMBER")]
    pub max_num_iceberg_orders: Option<u32>,
    /// How often an order may be amended; 0: never.
    #[arg(long, value_name = "NUMBER")]
    pub max_num_order_amends: Option<u32>,
    /// Maximum number of order lists of an account; 0: no order lists.
    #[arg(long, value_name = "NUMBER")]
    pub max_num_order_lists: Option<u32>,
    /// Smallest delta of a trailing stop above the price, in hundredths of a percent.
    #[arg(long, value_name = "NUMBER")]
    pub min_trailing_above_delta: Option<u32>,
    /// Largest delta of a trailing stop above the price; 0: none.
    #[arg(long, value_name = "NUMBER")]
    pub max_trailing_above_delta: Option<u32>,
    /// Smallest delta of a trailing stop below the price.
    #[arg(long, value_name = "NUMBER")]
    pub min_trailing_below_delta: Option<u32>,
    /// Largest delta of a trailing stop below the price; 0: none.
    #[arg(long, value_name = "NUMBER")]
    pub max_trailing_below_delta: Option<u32>,
    /// Fee rate of makers: 0.001 is 0.1 percent.
    #[arg(long, value_name = "DECIMAL")]
    pub maker_fee: Option<String>,
    /// Fee rate of takers: 0.001 is 0.1 percent.
    #[arg(long, value_name = "DECIMAL")]
    pub taker_fee: Option<String>,
    /// Allowed modes of self-trade prevention: NONE, EXPIRE_TAKER, EXPIRE_MAKER, EXPIRE_BOTH,
    /// DECREMENT, TRANSFER.
    #[arg(long, value_name = "MODES", value_delimiter = ',')]
    pub allowed_self_trade_prevention_modes: Vec<String>,
    /// Default mode of self-trade prevention.
    #[arg(long, value_name = "MODE")]
    pub default_self_trade_prevention_mode: Option<String>,
}

/// Actions on accounts.
#[derive(Debug, Subcommand)]
pub enum Accounts {
    /// List all accounts.
    List,
    /// Open an account. Repeating it opens another one.
    Open {
        /// A text of yours, at most 200 bytes.
        #[arg(long, value_name = "TEXT", default_value = "")]
        label: String,
    },
    /// Put an account into a trade group: its orders and those of the group's other accounts do not
    /// trade with each other where self-trade prevention says so.
    Change {
        /// Id of the account.
        account: u64,
        /// Number of the group; -1: none.
        #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
        trade_group: i64,
    },
    /// Freeze an account: its open orders are cancelled, it places no more, and nothing is paid out of it.
    Freeze {
        /// Id of the account.
        account: u64,
    },
    /// Let a frozen account go on.
    Unfreeze {
        /// Id of the account.
        account: u64,
    },
    /// Cancel all open orders of an account.
    CancelOrders {
        /// Id of the account.
        account: u64,
    },
    /// Show balances, open orders and API keys of an account.
    Show {
        /// Id of the account.
        account: u64,
    },
}

/// Actions on the fees of an account.
#[derive(Debug, Subcommand)]
pub enum Fees {
    /// Show them.
    Show {
        /// Id of the account.
        account: u64,
    },
    /// Set all of them; what is not given is none. They hold for orders placed afterwards.
    Set {
        /// Id of the account.
        account: u64,
        /// Standard rates of makers and takers, instead of the markets'.
        #[arg(long, value_name = "MAKER,TAKER", value_delimiter = ',', num_args = 1)]
        standard: Vec<String>,
        /// Special rates, on top of the standard ones.
        #[arg(long, value_name = "MAKER,TAKER", value_delimiter = ',', num_args = 1)]
        special: Vec<String>,
        /// Tax, on top of both.
        #[arg(long, value_name = "MAKER,TAKER", value_delimiter = ',', num_args = 1)]
        tax: Vec<String>,
    },
}

/// Actions on the tiers of fees.
#[derive(Debug, Subcommand)]
pub enum FeeTiers {
    /// Show them.
    Show,
    /// Set all of them; without tiers, fees do not depend on volumes.
    Set {
        /// The asset in which volumes are counted.
        #[arg(long, value_name = "ASSET")]
        asset: Option<String>,
        /// A tier: its least volume in thirty days, and the rates of makers and takers; by rising volume.
        #[arg(long = "tier", value_name = "VOLUME,MAKER,TAKER", requires = "asset")]
        tiers: Vec<String>,
    },
}

/// Actions on the discount for fees that are paid in one asset.
#[derive(Debug, Subcommand)]
pub enum FeeDiscount {
    /// Show it.
    Show,
    /// Set all of it; without rates there is none.
    Set {
        /// The asset in which fees are less.
        #[arg(long, value_name = "ASSET")]
        asset: Option<String>,
        /// What is taken off the standard part of fees, as a fraction.
        #[arg(long, value_name = "FRACTION", requires = "asset")]
        discount: Option<String>,
        /// How much of that asset one unit of a quote asset is worth.
        #[arg(long = "rate", value_name = "QUOTE,WORTH", requires = "asset")]
        rates: Vec<String>,
        /// A market without a discount.
        #[arg(long, value_name = "SYMBOL", requires = "asset")]
        except: Vec<String>,
    },
    /// Set whether an account pays its fees in it, with orders placed afterwards.
    Use {
        /// Id of the account.
        account: u64,
        /// Whether it does.
        #[arg(action = clap::ArgAction::Set)]
        enabled: bool,
    },
}

/// Actions on API keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// List all keys of an account.
    List {
        /// Id of the account.
        account: u64,
    },
    /// Issue a key. An HMAC secret is shown only once.
    Issue {
        /// Id of the account.
        account: u64,
        /// READ, TRADE or both.
        #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
        permissions: Vec<String>,
        /// PEM file with an Ed25519 or RSA public key; without it, an HMAC secret is generated.
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
        /// Addresses and networks that may use the key [default: all].
        #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
        allowed_ips: Vec<String>,
        /// Print `export KEY=…` and `export SECRET=…`, for `eval` in a shell.
        #[arg(long, conflicts_with_all = ["json", "public_key"])]
        export: bool,
    },
    /// Revoke a key immediately. Streams opened with it end.
    Revoke {
        /// Id of the account.
        account: u64,
        /// The API key.
        key: String,
    },
}

/// Filters of the whole venue; without options they are shown.
#[derive(Debug, Args)]
pub struct ExchangeFilters {
    /// Maximum number of open orders of an account in all markets; 0: no such filter.
    #[arg(long, value_name = "NUMBER")]
    pub max_num_orders: Option<u32>,
    /// Of these, the maximum number of stop and take-profit orders; 0: no such filter.
    #[arg(long, value_name = "NUMBER")]
    pub max_num_algo_orders: Option<u32>,
    /// Of these, the maximum number of iceberg orders; 0: no such filter.
    #[arg(long, value_name = "NUMBER")]
    pub max_num_iceberg_orders: Option<u32>,
    /// Maximum number of open order lists of an account in all markets; 0: no such filter.
    #[arg(long, value_name = "NUMBER")]
    pub max_num_order_lists: Option<u32>,
}

/// The rules that commands are applied under.
#[derive(Debug, Args)]
pub struct ShowRules {
    /// Activate these rules, for good; see docs/upgrade.md.
    #[arg(long, value_name = "NUMBER")]
    pub activate: Option<u32>,
}

/// Actions on the venue's own accounts.
#[derive(Debug, Subcommand)]
pub enum Venue {
    /// Show collected fees, the external account, and amounts in flight between partitions.
    Balances,
    /// Pay out collected fees.
    Withdraw {
        /// The asset.
        asset: String,
        /// Amount, above zero.
        amount: String,
        /// Your id for the payout. A payout with one id takes effect once, however often it is sent.
        #[arg(long, value_name = "NAME")]
        transfer_id: String,
        /// Partition of a cluster that pays; not needed for a venue in one process.
        #[arg(long, value_name = "NUMBER")]
        partition: Option<u16>,
    },
}

/// A deposit or withdrawal.
#[derive(Debug, Args)]
pub struct Transfer {
    /// Id of the account.
    pub account: u64,
    /// The asset.
    pub asset: String,
    /// Amount, above zero.
    pub amount: String,
    /// Your id for the transfer. A transfer with one id takes effect once, however often it is sent.
    #[arg(long, value_name = "NAME")]
    pub transfer_id: String,
}

/// A correction of a balance.
#[derive(Debug, Args)]
pub struct Adjust {
    /// Id of the account.
    pub account: u64,
    /// The asset.
    pub asset: String,
    /// Amount; below zero to take money away.
    #[arg(allow_hyphen_values = true)]
    pub amount: String,
    /// Your id for the correction. One with one id takes effect once, however often it is sent.
    #[arg(long, value_name = "NAME")]
    pub transfer_id: String,
}

/// A choice of markets.
#[derive(Debug, Args)]
pub struct Which {
    /// Names of the markets.
    #[arg(value_name = "SYMBOL", required_unless_present = "all", conflicts_with = "all")]
    pub symbols: Vec<String>,
    /// All markets: to halt, those that trade; to resume, those that are halted.
    #[arg(long)]
    pub all: bool,
}
