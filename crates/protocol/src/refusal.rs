//! Why a partition refuses a command. A refusal changes nothing and states what the sender should do instead; the
//! gateway turns it into the code and text of its API.

use crossbook_types::{Breaker, Feature, Filter, MarketStatus, Mean, PriceRange, RejectReason, market};

/// A reason to change nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// No such account.
    #[error("no such account; open it first")]
    UnknownAccount,
    /// The account is frozen.
    #[error("the account is frozen; unfreeze it first")]
    AccountFrozen,
    /// No such asset.
    #[error("no such asset; list it first")]
    UnknownAsset,
    /// No such market.
    #[error("no such market; list it first")]
    UnknownSymbol,
    /// No such API key on that account.
    #[error("no such API key on this account")]
    UnknownApiKey,
    /// No open order by that name.
    #[error("no such open order")]
    UnknownOrder,
    /// The asset exists, with other properties.
    #[error("an asset of this name exists with other decimals")]
    AssetExists,
    /// The market exists.
    #[error("a market of this symbol exists; change it instead")]
    MarketExists,
    /// The API key exists.
    #[error("an API key of this name exists; draw another")]
    ApiKeyExists,
    /// An asset cannot have so many decimals.
    #[error("decimals must be from 0 to 18")]
    AssetDecimals,
    /// A label is too long.
    #[error("the label is too long; it may have at most {} bytes", crate::registry::LABEL_BYTES_MAX)]
    LabelTooLong,
    /// An account has as many API keys as it may.
    #[error("the account has too many API keys; revoke one first")]
    TooManyApiKeys,
    /// The market cannot exist as described.
    #[error("{0}")]
    Market(market::Error),
    /// The market takes no orders now.
    #[error("the market is {}; wait until it is TRADING", .0.as_str())]
    MarketClosed(MarketStatus),
    /// A filter of the market forbids the order.
    #[error("the order breaks the filter {}", .0.as_str())]
    Filter(Filter),
    /// The fields of the order do not go together.
    #[error("the order's fields do not go together")]
    MalformedOrder,
    /// The account has too little of what the order or withdrawal needs.
    #[error("insufficient free balance")]
    InsufficientBalance,
    /// An open order of the account in this market has that name.
    #[error("an open order with this client order id exists; choose another")]
    DuplicateClientOrderId,
    /// A maker-only order would trade at once.
    #[error("the order would trade at once")]
    WouldTake,
    /// A conditional order's stop price is already reached.
    #[error("the order would trigger at once")]
    WouldTrigger,
    /// The book holds as many orders as it can.
    #[error("the book is full; try again later")]
    BookFull,
    /// The amount is zero or beyond what one transfer may move.
    #[error("the amount must not be zero, and at most 2^112 smallest units")]
    TransferAmount,
    /// A transfer of that name was made with other content.
    #[error("a transfer with this id was made with another asset or amount; choose another id")]
    TransferConflict,
    /// Only partition 0 keeps the registry.
    #[error("this partition does not keep the registry")]
    NotTheRegistry,
    /// The order is open, but what its cancel asks of it is not true of it.
    #[error("the order does not meet the restriction of its cancel")]
    CancelRestricted,
    /// A venue is being imported, and its import has not ended.
    #[error("the venue is being imported; try again when its import has ended")]
    Importing,
    /// A venue can only move in where nothing is yet.
    #[error("there is something here already; a venue moves only into a new cluster")]
    NotEmpty,
    /// A piece of a venue that moves in does not fit what came before it.
    #[error("a piece of the import does not fit what came before; empty the store and begin the import anew")]
    MisfitPiece,
    /// The market does not allow orders of that mode of self-trade prevention.
    #[error(
        "the market does not allow this mode of self-trade prevention; choose one of those that exchangeInfo lists"
    )]
    SelfTradeMode,
    /// A command about a partition's own accounts came to another partition.
    #[error("this is not the partition that was named")]
    OtherPartition,
    /// A market order for a quote amount finds no resting order in the book.
    #[error("there are no orders on the other side of the book; wait, or place a limit order")]
    EmptyBook,
    /// A market order for a quote amount finds less in the book than the smallest order.
    #[error(
        "there is less on the other side of the book than the filter LOT_SIZE demands; wait, or place a limit order"
    )]
    ThinBook,
    /// All numbers of a kind are used up: of orders, trades, holds, accounts, assets, markets, or messages to another
    /// partition.
    #[error("the venue has used up its numbers for this; nothing new can be made of this kind, what there is goes on")]
    NumbersUsedUp,
    /// A cancel of all orders of the account in this market has not come to its end.
    #[error("a cancel of all orders of this account in this market is under way; wait for its answer")]
    CancelingAll,
    /// The command came into the log after the time up to which its sender wanted it.
    #[error("the request's deadline passed before it was in the log; send it again with the present time")]
    Late,
    /// The command could not be applied, and the operator has passed it over.
    #[error("the venue could not carry this out, and its operator has passed it over; nothing was changed")]
    Skipped,
    /// The order asks for what the active rules do not know.
    #[error("the venue's active rules do not know such orders; its operator has to activate newer rules first")]
    RulesTooOld,
    /// An amendment asks for more than the order is for.
    #[error("an amendment can only lower the quantity of an order; cancel the order and place another")]
    AmendIncrease,
    /// An amendment asks for what the order is for already.
    #[error("the order is for this quantity already; ask for a lower one")]
    AmendNothing,
    /// The market's orders cannot be amended.
    #[error("orders of this market cannot be amended; cancel the order and place another")]
    AmendNotAllowed,
    /// The market does not take orders of that kind.
    #[error("the market does not take such orders; choose another market, or place a plain order")]
    Unsupported(Feature),
    /// The visible part of an iceberg order is more than all of it.
    #[error("the visible part of the order exceeds its quantity; lower it")]
    IcebergTooLarge,
    /// There is no such countdown, or its time has not come.
    #[error("there is no such countdown, or its time has not come")]
    NoCountdown,
    /// The account has as many countdowns as it may have.
    #[error("the account has too many countdowns; take some back, or use one for the whole account")]
    TooManyCountdowns,
    /// Orders of this type cannot be pegged.
    #[error("orders of this type have no price that could be taken from the book")]
    PegType,
    /// Orders of this type cannot be pegged to that side of the book.
    #[error("orders of this type or time in force cannot take their price from that side of the book")]
    PegPrice,
    /// The price level that a pegged order asks for does not exist.
    #[error("the book has too few price levels for this pegged order; wait, or name a price")]
    ThinForPeg,
    /// Fee tiers are too many, or out of order.
    #[error(
        "there can be at most {} fee tiers, each with a larger volume than the one before",
        crossbook_types::FeeTiers::TIERS_MAX
    )]
    FeeTiers,
    /// A discount on fees is the whole fee, or its rates or markets are out of order, or fees cannot be counted at a
    /// rate.
    #[error(
        "a discount on fees is below {} basis points, every rate is above zero and low enough for fees to be counted, \
         and rates and markets are at most {}, each named once and in the order of their numbers",
        crossbook_types::FeeDiscount::WHOLE,
        crossbook_types::FeeDiscount::ENTRIES_MAX
    )]
    FeeDiscount,
    /// The prices of a list's orders are not on the sides of the market, or of each other, on which they must be.
    #[error(
        "the prices of the list's orders are not in their order: one must be above, the other below the last price"
    )]
    ListPrices,
    /// Nothing says what the list needs: its working order is a buy whose price the book gives, and another of its
    /// orders buys and names no price.
    #[error("two orders of the list buy and name no price; name the price of one of them")]
    ListWithoutPrice,
    /// The market takes no order lists.
    #[error("the market takes no order lists of this kind; its operator allows them with maxNumOrderLists")]
    NoOrderLists,
    /// The order has no quantity yet: what the working order of its list receives is to pay for it.
    #[error("the order has no quantity before the working order of its list is filled; amend it after that")]
    AmendUnpaid,
    /// The market's session is in another phase, or its end has not come.
    #[error("the market's session is in another phase, or its end has not come")]
    NoSuchPhase,
    /// A circuit breaker has a value that it cannot have.
    #[error(
        "a circuit breaker needs a move from 1 to {} basis points, and a window and a pause from 1 to {} seconds",
        Breaker::MOVE_MAX,
        Breaker::SECONDS_MAX
    )]
    BreakerRange,
    /// The market collects orders for an auction, and the order is none that can wait for it.
    #[error("the market collects orders for an auction; it takes limit orders that may rest, and conditional orders")]
    NotInAuction,
    /// The orders of an auction are being matched.
    #[error("an auction is being matched; try again when it is done")]
    AuctionMatching,
    /// The time of an auction is too long.
    #[error(
        "an auction collects orders for at most {} seconds, or until it is ended",
        crate::session::AUCTION_SECONDS_MAX
    )]
    AuctionTooLong,
    /// An execution rule has a multiplier that it cannot have, or none.
    #[error(
        "a price range needs a multiplier, each multiplier upwards from 1 to {}, and each downwards above 0 and at most 1",
        PriceRange::MULTIPLIER_MAX / PriceRange::WHOLE
    )]
    PriceRange,
    /// The window of a reference price has a value that it cannot have.
    #[error(
        "the mean of a reference price needs from 1 to {} buckets of 1 to {} milliseconds each",
        Mean::BUCKETS_MAX,
        Mean::WIDTH_MAX_MS
    )]
    ReferenceCalculation,
    /// A reference price is sent to a market that calculates its own or has none, or is one that it cannot have.
    #[error(
        "a market takes a reference price, from a tick to its highest price, if that is calculated elsewhere; set the \
         calculation EXTERNAL first"
    )]
    ReferencePrice,
    /// A market is not given this status.
    #[error("a market is not given the status {}; open an auction, or delist the market", .0.as_str())]
    NotAStatusToSet(MarketStatus),
    /// A trade group has as many accounts as it may have.
    #[error(
        "the trade group has {} accounts, which is the most; take one out first, or use another group",
        crate::registry::ACCOUNTS_PER_TRADE_GROUP_MAX
    )]
    TradeGroupFull,
}

impl Refusal {
    /// What the owner of a refused order is sent as the reason; `None` for refusals that only the sender learns of.
    #[must_use]
    pub fn reject_reason(self) -> Option<RejectReason> {
        match self {
            Self::InsufficientBalance => Some(RejectReason::InsufficientBalances),
            Self::WouldTake => Some(RejectReason::WouldMatch),
            Self::WouldTrigger => Some(RejectReason::WouldTrigger),
            _ => None,
        }
    }
}
