//! The registry of a venue, without orders and money: accounts and API keys, and the changes that partition 0 sends to
//! the other partitions.

use crossbook_types::{
    AccountFees, AccountId, ApiKeyId, Asset, ExchangeFilters, FeeDiscount, FeeTiers, Market, Timestamp, TradeGroupId,
};

use crate::rules::Rules;

/// The longest label of an account, in bytes.
pub const LABEL_BYTES_MAX: usize = 200;
/// The most API keys one account can have.
pub const API_KEYS_PER_ACCOUNT_MAX: usize = 100;
/// The most accounts of one trade group: some orders look at all open orders of their group in a market.
pub const ACCOUNTS_PER_TRADE_GROUP_MAX: usize = 100;
/// The most decimals of an asset.
pub const DECIMALS_MAX: u8 = 18;

/// A client's account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// The operator's words for it.
    pub label: String,
    /// When it was opened.
    pub opened: Timestamp,
    /// The trade group that it is in, if it is in one.
    pub trade_group: Option<TradeGroupId>,
}

/// What an API key may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permissions {
    /// See the account, its orders and trades.
    pub read: bool,
    /// Place and cancel orders.
    pub trade: bool,
}

/// How the signatures of an API key are checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// HMAC-SHA256 under a secret, which is kept encrypted; the core never sees it in the clear.
    Hmac {
        /// The secret, sealed by the gateway under the operator's key.
        sealed: Vec<u8>,
    },
    /// Ed25519; the raw public key.
    Ed25519 {
        /// 32 bytes.
        public: Vec<u8>,
    },
    /// RSA, PKCS#1 v1.5 over SHA-256; the public key as DER (SubjectPublicKeyInfo).
    Rsa {
        /// The encoded key.
        public: Vec<u8>,
    },
}

/// An API credential of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiKey {
    /// Its public name.
    pub key: ApiKeyId,
    /// Whose it is.
    pub account: AccountId,
    /// What it may do.
    pub permissions: Permissions,
    /// How its signatures are checked.
    pub credential: Credential,
    /// Addresses or networks it may be used from; empty: any.
    pub allowed_ips: Vec<String>,
    /// When it was issued.
    pub issued: Timestamp,
}

/// What the client finds as the name of the cancel in orders that end because their account is frozen.
pub const FROZEN_CANCEL_NAME: &str = "frozen";

/// A change of the registry, as partition 0 sends it to the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// An asset is listed.
    Asset(Asset),
    /// A market is listed or changed.
    Market(Box<Market>),
    /// An account is open, or in another trade group.
    Account(Box<Account>),
    /// Newer rules are active.
    Rules(Rules),
    /// An account may have so many orders open in all markets.
    ExchangeFilters(ExchangeFilters),
    /// What an account pays is now this.
    AccountFees {
        /// The account.
        account: AccountId,
        /// All of its fees.
        fees: AccountFees,
    },
    /// Accounts that have traded much pay these rates.
    FeeTiers(Box<FeeTiers>),
    /// Fees can be paid in an asset in which they are less.
    FeeDiscount(Box<FeeDiscount>),
    /// Whether an account pays its fees in that asset.
    DiscountUse {
        /// The account.
        account: AccountId,
        /// Whether it does.
        on: bool,
    },
    /// Whether an account is frozen.
    Frozen {
        /// The account.
        account: AccountId,
        /// Whether it is.
        on: bool,
    },
}
