//! The options of `crossbook admin`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

/// Where the admin API is unless told otherwise.
const URL: &str = "http://127.0.0.1:8081";

/// Examples for the help text.
pub const EXAMPLES: &str = "\
Examples:
  What a first trade needs (the token is the one that the venue was started with):
    export CROSSBOOK_ADMIN_TOKEN=...
    crossbook admin assets add BTC --decimals 8
    crossbook admin assets add USDT --decimals 8
    crossbook admin markets add BTCUSDT --base BTC --quote USDT --tick-size 0.01 --step-size 0.00001
    crossbook admin accounts open --label alice
    crossbook admin deposit 1001 USDT 100000 --transfer-id first
    crossbook admin keys issue 1001 --permissions READ,TRADE

  The same account's balances, for people and for programs:
    crossbook admin accounts show 1001
    crossbook admin --json accounts show 1001 | jq '.balances'

  Stop trading in one market, in all of them, and go on:
    crossbook admin halt BTCUSDT
    crossbook admin halt --all
    crossbook admin resume --all

  A venue elsewhere:
    crossbook admin --url https://venue.example:8081 --ca authority.pem audit

Exit status 0: done; 1: the venue could not be asked, or nobody knows whether it did it; 2: the command line is wrong; 3: the audit has
found something; 4: the venue refuses.

Environment:
  CROSSBOOK_ADMIN_TOKEN  the token that the venue was started with
  CROSSBOOK_ADMIN_URL    what --url says, unless it says otherwise";

/// `crossbook admin`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Admin {
    /// The venue's admin API: http://HOST:PORT, or https://HOST:PORT where it shows a certificate.
    #[arg(long, value_name = "URL", env = "CROSSBOOK_ADMIN_URL", default_value = URL, global = true)]
    pub url: String,
    /// PEM file with the authority that has signed the venue's certificate [default: those that the system trusts].
    #[arg(long, value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
    /// How long to wait for an answer, as 30s or 5m.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration, global = true)]
    pub timeout: Duration,
    /// Print JSON instead of a table.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum What {
    /// List assets, or add one.
    Assets {
        /// What to do with them; to list them if it is not said.
        #[command(subcommand)]
        action: Option<Assets>,
    },
    /// List markets, add one, or change its rules, fees and status.
    Markets {
        /// What to do with them; to list them if it is not said.
        #[command(subcommand)]
        action: Option<Markets>,
    },
    /// List accounts, open one, or show what one has.
    Accounts {
        /// What to do with them; to list them if it is not said.
        #[command(subcommand)]
        action: Option<Accounts>,
    },
    /// List an account's API keys, issue one, or revoke one.
    Keys {
        /// What to do with them.
        #[command(subcommand)]
        action: Keys,
    },
    /// Bring money into an account.
    Deposit(Transfer),
    /// Take money out of an account.
    Withdraw(Transfer),
    /// Stop trading: cancels are taken, new orders are not.
    Halt(Which),
    /// Let markets trade again.
    Resume(Which),
    /// The venue's own accounts: what it has earned, and paying that out.
    Venue {
        /// What to do with them.
        #[command(subcommand)]
        action: Venue,
    },
    /// Add up the running venue. The exit status is 3 if something is off.
    Audit,
}

/// What to do with assets.
#[derive(Debug, Subcommand)]
pub enum Assets {
    /// All assets.
    List,
    /// Add an asset. Once more with the same decimals changes nothing.
    Add {
        /// Its name: letters and digits of any script, at most 24 bytes.
        asset: String,
        /// Digits after the point of its smallest unit, 0 to 18; never to change.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(0..=18))]
        decimals: u8,
    },
}

/// What to do with markets.
#[derive(Debug, Subcommand)]
pub enum Markets {
    /// All markets.
    List,
    /// Add a market.
    Add {
        /// Its name, such as BTCUSDT.
        symbol: String,
        /// What is bought and sold: a listed asset.
        #[arg(long, value_name = "ASSET")]
        base: String,
        /// What it is paid in: a listed asset.
        #[arg(long, value_name = "ASSET")]
        quote: String,
        /// Step of prices.
        #[arg(long, value_name = "DECIMAL")]
        tick_size: String,
        /// Step of quantities. Tick times step must be whole smallest units of the quote asset.
        #[arg(long, value_name = "DECIMAL")]
        step_size: String,
        /// Its rules.
        #[command(flatten)]
        rules: Box<Rules>,
    },
    /// Change a market; what is not given stays as it is. New fee rates hold for orders placed from then on.
    Change {
        /// Its name.
        symbol: String,
        /// Its new rules.
        #[command(flatten)]
        rules: Box<Rules>,
    },
}

/// Rules of a market. Decimals are passed on as they are typed.
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
    /// Smallest worth of an order, in the quote asset.
    #[arg(long, value_name = "DECIMAL")]
    pub min_notional: Option<String>,
    /// Largest worth of an order, in the quote asset.
    #[arg(long, value_name = "DECIMAL")]
    pub max_notional: Option<String>,
    /// How many times the average price a bid may be at most.
    #[arg(long, value_name = "DECIMAL")]
    pub multiplier_up: Option<String>,
    /// How many times the average price an ask must be at least.
    #[arg(long, value_name = "DECIMAL")]
    pub multiplier_down: Option<String>,
    /// Open orders of an account.
    #[arg(long, value_name = "NUMBER")]
    pub max_num_orders: Option<u32>,
    /// Conditional orders of an account.
    #[arg(long, value_name = "NUMBER")]
    pub max_num_algo_orders: Option<u32>,
    /// What makers pay: 0.001 is a tenth of a percent.
    #[arg(long, value_name = "DECIMAL")]
    pub maker_fee: Option<String>,
    /// What takers pay: 0.001 is a tenth of a percent.
    #[arg(long, value_name = "DECIMAL")]
    pub taker_fee: Option<String>,
    /// Modes of self-trade prevention that orders may have: NONE, EXPIRE_TAKER and so on.
    #[arg(long, value_name = "MODES", value_delimiter = ',')]
    pub allowed_self_trade_prevention_modes: Vec<String>,
    /// The mode of orders that name none.
    #[arg(long, value_name = "MODE")]
    pub default_self_trade_prevention_mode: Option<String>,
}

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum Accounts {
    /// All accounts.
    List,
    /// Open an account. Once more opens another one.
    Open {
        /// Your own words for it, at most 200 bytes.
        #[arg(long, value_name = "TEXT", default_value = "")]
        label: String,
    },
    /// Balances, open orders and API keys of an account.
    Show {
        /// Its number.
        account: u64,
    },
}

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// All keys of an account.
    List {
        /// The account's number.
        account: u64,
    },
    /// Issue a key. An HMAC secret is shown this one time.
    Issue {
        /// The account's number.
        account: u64,
        /// READ, TRADE or both.
        #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
        permissions: Vec<String>,
        /// PEM file with the public half of an Ed25519 or RSA key; without it, an HMAC secret is drawn.
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
        /// Addresses and networks that may use the key [default: all].
        #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
        allowed_ips: Vec<String>,
        /// Print `export KEY=…` and `export SECRET=…`, for a shell to read.
        #[arg(long, conflicts_with_all = ["json", "public_key"])]
        export: bool,
    },
    /// Revoke a key, at once. Streams that were opened with it end.
    Revoke {
        /// The account's number.
        account: u64,
        /// The key.
        key: String,
    },
}

/// What to do with the venue's own accounts.
#[derive(Debug, Subcommand)]
pub enum Venue {
    /// Collected fees, what came in from outside, and what is on its way between partitions.
    Balances,
    /// Pay collected fees out.
    Withdraw {
        /// The asset.
        asset: String,
        /// How much, above zero.
        amount: String,
        /// Your own name for it. Of one name a payment takes effect once, however often it is sent.
        #[arg(long, value_name = "NAME")]
        transfer_id: String,
        /// Which partition of a cluster pays; a venue in one process has one.
        #[arg(long, value_name = "NUMBER")]
        partition: Option<u16>,
    },
}

/// Money that comes in or goes out.
#[derive(Debug, Args)]
pub struct Transfer {
    /// The account's number.
    pub account: u64,
    /// The asset.
    pub asset: String,
    /// How much, above zero.
    pub amount: String,
    /// Your own name for it. Of one name a transfer takes effect once, however often it is sent.
    #[arg(long, value_name = "NAME")]
    pub transfer_id: String,
}

/// Which markets.
#[derive(Debug, Args)]
pub struct Which {
    /// Their names.
    #[arg(value_name = "SYMBOL", required_unless_present = "all", conflicts_with = "all")]
    pub symbols: Vec<String>,
    /// All markets of the venue.
    #[arg(long)]
    pub all: bool,
}
