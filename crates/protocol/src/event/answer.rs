//! The answers to commands.

use crossbook_types::{AccountId, ApiKeyId, AssetId, OrderId, OrderListId, SymbolId, Timestamp};

use super::VenueAccount;
use crate::refusal::Refusal;
use crate::rules::Rules;
use crate::session::Session;
use crate::transfer::Transfer;

/// The answer to the sender of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The asset exists, under this number.
    AssetListed(AssetId),
    /// The market exists, under this number.
    MarketListed(SymbolId),
    /// The market was changed.
    MarketChanged(SymbolId),
    /// The account exists, under this number.
    AccountOpened(AccountId),
    /// The account is in the trade group that was asked for, now or since before.
    TradeGroupSet(AccountId),
    /// The account is frozen or not, as was asked for.
    FrozenSet,
    /// The credential is valid.
    ApiKeyIssued(ApiKeyId),
    /// The credential is no longer valid.
    ApiKeyRevoked(ApiKeyId),
    /// The money moved, now or when this transfer was first asked for; what was recorded then.
    Transferred(Box<Transfer>),
    /// The order was accepted; its effects are in the other events.
    Placed {
        /// The market.
        symbol: SymbolId,
        /// The order.
        order: OrderId,
    },
    /// The order was cancelled.
    Canceled {
        /// The market.
        symbol: SymbolId,
        /// The order.
        order: OrderId,
    },
    /// All open orders that the account had in the market were cancelled; one [`Event::OrderClosed`] each, in this
    /// command or, after [`Event::CancelAllBegun`], in those since that one.
    CanceledAll {
        /// The market.
        symbol: SymbolId,
        /// How many there were; at least one.
        count: u32,
    },
    /// Nothing was changed, because of this.
    Refused(Refusal),
    /// The piece of a venue that moves in was taken over.
    Imported,
    /// What the partition's ledger has in the venue's own accounts.
    VenueAccounts(Vec<VenueAccount>),
    /// These rules are active, now or since they were activated before.
    RulesActive(Rules),
    /// The quantity of the order was lowered; or, if no more was asked for than has traded, the order has ended.
    Amended {
        /// The market.
        symbol: SymbolId,
        /// The order.
        order: OrderId,
    },
    /// The countdown passes at that time; `None`: there is none now.
    CountdownSet {
        /// By the time of the account's partition.
        until: Option<Timestamp>,
    },
    /// An order was to be cancelled and another to be placed; what has become of each.
    Replaced {
        /// The market.
        symbol: SymbolId,
        /// The order that was to be cancelled.
        canceled: Half,
        /// The order that was to be placed.
        placed: Half,
    },
    /// The limits of the whole venue are these.
    ExchangeFiltersSet,
    /// The fees are these.
    FeesSet,
    /// The order list was accepted; its effects are in the other events.
    ListPlaced {
        /// The market.
        symbol: SymbolId,
        /// The list.
        list: OrderListId,
    },
    /// All open orders of the list were cancelled.
    ListCanceled {
        /// The market.
        symbol: SymbolId,
        /// The list.
        list: OrderListId,
    },
    /// The market's session is now this.
    SessionChanged(Session),
}

/// What has become of one half of a [`Body::Replace`](crate::Body::Replace).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Half {
    /// It was done, with this order.
    Done(OrderId),
    /// It was refused.
    Refused(Refusal),
    /// It was not tried, because the other half was refused.
    NotTried,
}
