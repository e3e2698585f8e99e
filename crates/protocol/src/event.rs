//! The published events of a partition. Every view, stream, candle and table is a fold of these.
//!
//! The events of one command follow a [`Cause`], which is their header. They are facts, not instructions: amounts are
//! final, balances are those after the command, depth is absolute. A client's command ends with exactly one
//! [`Event::Answered`], the last event with its source and number. It is among the events of the command itself, except
//! where the work of a cancel of all orders continues in later commands (`crossbook_engine::work_budget`): then it is
//! among those of the last of these.
//!
//! Every partition publishes assets, markets and accounts when it learns of them: partition 0, which has the registry,
//! when they change, the others when they follow. Only partition 0 publishes API keys. Everything else is published by
//! one partition: an account's money by the account's, orders, trades and depth by the market's.
//!
//! The events of an import ([`crate::import`]) contain the state from before it, so a reader that begins at the first
//! command of a partition knows everything.

mod answer;
mod batch;

use crossbook_types::{
    AccountFees, AccountId, Amount, ApiKeyId, Asset, AssetId, ClientOrderId, DiscountRates, ExchangeFilters,
    FeeDiscount, FeeTiers, Fees, ListStatus, Market, OrderId, OrderListId, PreventedMatchId, Price, Quantity,
    RejectReason, RequestNumber, SelfTradePrevention, Sequence, Side, SourceId, SymbolId, Timestamp, TradeBucket,
    TradeGroupId, TradeId,
};

use crate::countdown::{Countdown, CountdownScope};
use crate::operator::Acted;
use crate::order::{NewOrder, OrderTerms, Size};
use crate::order_list::{ListImported, ListPlaced};
use crate::registry::{Account, ApiKey};
use crate::rules::Rules;
use crate::session::{AuctionPrice, Session};
use crate::transfer::Transfer;

pub use answer::{Answer, Half};
pub use batch::Events;

/// The command that events come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cause {
    /// Its place in the log.
    pub sequence: Sequence,
    /// When it was taken; the time of all its events.
    pub time: Timestamp,
}

/// One fact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// An asset can now be held.
    AssetListed(Asset),
    /// A market exists.
    MarketListed(Box<Market>),
    /// A market's filters, fees or status are now these.
    MarketChanged(Box<Market>),
    /// An account exists.
    AccountOpened(Box<Account>),
    /// An API credential is valid.
    ApiKeyIssued(Box<ApiKey>),
    /// An API credential is no longer valid.
    ApiKeyRevoked {
        /// Whose it was.
        account: AccountId,
        /// The public name of the API key.
        key: ApiKeyId,
    },
    /// Money came in or went out.
    Transferred(Box<Transfer>),
    /// An order was accepted. If it does not wait for a stop price it works from now on.
    OrderPlaced(OrderPlaced),
    /// The stop price of a waiting order was reached; it works from now on.
    OrderTriggered {
        /// The market.
        symbol: SymbolId,
        /// The order.
        order: OrderId,
        /// The account that it belongs to.
        account: AccountId,
    },
    /// Two orders traded.
    Traded(Trade),
    /// An order has ended. The last event of every order; its totals say how far it came.
    OrderClosed(OrderClosed),
    /// The quantity at one price of a book is now this.
    DepthChanged(DepthChanged),
    /// What an account has of an asset is now this. At most one per account, asset and command.
    BalanceChanged {
        /// The account that it belongs to.
        account: AccountId,
        /// Of what.
        asset: AssetId,
        /// What it can use.
        free: Amount,
        /// What its open orders hold.
        held: Amount,
    },
    /// The answer to the command that `source` sent as `number`.
    Answered {
        /// Who asked.
        source: SourceId,
        /// As which of its commands.
        number: RequestNumber,
        /// The answer.
        answer: Answer,
    },
    /// A market continues from its state in the imported venue.
    MarketImported(Box<MarketImported>),
    /// An order is open that was placed before the import.
    OrderImported(Box<OrderImported>),
    /// An account, or the venue's for fees, gets its balance from before the import, out of the clearing account.
    MoneyImported {
        /// Whose it is.
        account: AccountId,
        /// Of what.
        asset: AssetId,
        /// How much.
        amount: Amount,
    },
    /// Money came in or went out before the import; it is in the clearing account until [`Event::MoneyImported`] pays
    /// it out.
    TransferImported(Box<Transfer>),
    /// Two orders of one account, or of one trade group, would have traded, and self-trade prevention kept them from
    /// it. What ends because of it follows.
    MatchPrevented(PreventedMatch),
    /// The matching engine refused an order whose form is right. Only refusals that clients know a reason for.
    OrderRefused {
        /// The order as it was sent. It has no number.
        order: NewOrder,
        /// Why the order was refused.
        reason: RejectReason,
    },
    /// Collected fees were paid out: the transfer's account is [`AccountId::FEES`], its amount is below zero.
    FeesPaidOut(Box<Transfer>),
    /// The open orders that an account has in a market are being cancelled, more of them than one command cancels. Each
    /// ends with an [`OrderClosed`] of this `cancel_id`, in this command and later ones; the last of these commands
    /// answers.
    CancelAllBegun {
        /// The market.
        symbol: SymbolId,
        /// The account that it belongs to.
        account: AccountId,
        /// The client's name for the cancel.
        cancel_id: ClientOrderId,
        /// Who asked.
        source: SourceId,
        /// As which of its commands.
        number: RequestNumber,
    },
    /// The commands behind this one are applied under these rules.
    RulesActivated(Rules),
    /// The quantity of an open order was lowered.
    OrderAmended(OrderAmended),
    /// A countdown runs, or runs longer than before.
    CountdownSet(Countdown),
    /// A countdown runs no more.
    CountdownEnded {
        /// Whose it was.
        account: AccountId,
        /// Which of the account's.
        scope: CountdownScope,
        /// Whether it passed, so that orders are cancelled; it was taken back otherwise.
        passed: bool,
    },
    /// A pegged order works, at this price.
    OrderPegged {
        /// The market.
        symbol: SymbolId,
        /// The order.
        order: OrderId,
        /// The account that it belongs to.
        account: AccountId,
        /// The price that the book gave it.
        price: Price,
    },
    /// A waiting order trails the price from now on.
    TrailingBegun {
        /// The market.
        symbol: SymbolId,
        /// The order.
        order: OrderId,
        /// The account that it belongs to.
        account: AccountId,
    },
    /// An account may have so many orders open in all markets.
    ExchangeFiltersChanged(ExchangeFilters),
    /// What an account pays is now this; orders placed before keep their rates.
    AccountFeesChanged {
        /// The account.
        account: AccountId,
        /// All of its fees.
        fees: AccountFees,
    },
    /// Accounts that have traded much pay these rates; which of them an account pays is told anew.
    FeeTiersChanged(Box<FeeTiers>),
    /// An account's volume has brought it into another tier; its new orders pay these rates.
    FeeTierReached {
        /// The account.
        account: AccountId,
        /// The rates; `None`: what the markets say.
        fees: Option<Fees>,
    },
    /// Fees can be paid in an asset in which they are less; orders placed before stay as they were.
    FeeDiscountChanged(Box<FeeDiscount>),
    /// Whether an account pays the fees of its new orders in that asset.
    DiscountUseChanged {
        /// The account.
        account: AccountId,
        /// Whether it does.
        on: bool,
    },
    /// An order that was just placed pays its fees in the asset of the discount, as far as what is held for them
    /// suffices.
    OrderDiscounted {
        /// The market.
        symbol: SymbolId,
        /// The order.
        order: OrderId,
        /// The account that it belongs to.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// How much of it is held.
        held: Amount,
        /// What the order is charged.
        rates: DiscountRates,
    },
    /// An order list was accepted, with the orders whose placing comes right before.
    ListPlaced(Box<ListPlaced>),
    /// A pending order of a list is placed, because the working order was filled. If it does not wait for a stop price
    /// it works from now on.
    OrderReleased {
        /// The market.
        symbol: SymbolId,
        /// The order.
        order: OrderId,
        /// The account that it belongs to.
        account: AccountId,
        /// Its quantity; it had none before, if what the working order received pays for it.
        quantity: Quantity,
    },
    /// One order of a list has an effect on another: of a pair one runs and the other has ended, or the working order
    /// was filled and the others are placed. Or the list is done; this is its last event then.
    ListChanged {
        /// The market.
        symbol: SymbolId,
        /// The list.
        list: OrderListId,
        /// The account that it belongs to.
        account: AccountId,
        /// What has become of it.
        status: ListStatus,
    },
    /// An open order list comes from another venue, behind its orders.
    ListImported(Box<ListImported>),
    /// The trading session of a market is now this. Its own partition publishes it.
    SessionChanged(Session),
    /// The reference price of a market that has moved in is the mean of these trades, the oldest first.
    ReferenceImported {
        /// The market.
        symbol: SymbolId,
        /// See [`TradeBuckets`](crossbook_types::TradeBuckets).
        buckets: Vec<TradeBucket>,
    },
    /// The price of an auction is found. Its trades follow, in this command and, if there are many, in later ones.
    AuctionPriced(AuctionPrice),
    /// An account is in another trade group than before, or in none. Its open orders stay where they were.
    TradeGroupSet {
        /// The account.
        account: AccountId,
        /// Its trade group from now on.
        group: Option<TradeGroupId>,
    },
    /// Whether an account is frozen. The orders that it has open then end.
    FrozenChanged {
        /// The account.
        account: AccountId,
        /// Whether it is.
        on: bool,
    },
    /// An operator has asked for what this command did.
    OperatorActed(Box<Acted>),
}

// The buffers of events are written and read once for each command, so their size is time. `symbol` is part of
// `OrderTerms`, and the account is not, because an accepted order has the least padding that way.
const _: () = assert!(size_of::<OrderPlaced>() <= 128 && size_of::<Event>() <= 144);

impl Event {
    /// Whether it may own memory, so that it must be dropped. `false` only for those that most commands cause.
    #[inline]
    fn owns_memory(&self) -> bool {
        match self {
            Self::OrderPlaced(placed) => placed.terms.instructions.is_some(),
            Self::Traded(_)
            | Self::OrderClosed(_)
            | Self::DepthChanged(_)
            | Self::BalanceChanged { .. }
            | Self::Answered { answer: Answer::Placed { .. } | Answer::Canceled { .. }, .. } => false,
            _ => true,
        }
    }
}

/// Where a market stood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MarketImported {
    /// The market.
    pub symbol: SymbolId,
    /// The number that its next order gets.
    pub next_order: OrderId,
    /// Its last trade, if there was one.
    pub last: Option<LastTrade>,
    /// How many aggregate trades there were.
    pub aggregate_trades: u64,
    /// The number of the last depth update.
    pub depth_update: u64,
    /// The number that its next prevented match gets.
    pub next_prevented: PreventedMatchId,
}

/// The last trade of a market before it moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastTrade {
    /// Its number.
    pub trade: TradeId,
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: Quantity,
    /// Price x quantity in the quote asset's smallest unit.
    pub quote: Amount,
    /// Which side the incoming order was on.
    pub taker_side: Side,
    /// Time of the command.
    pub time: Timestamp,
}

/// An open order as it stood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderImported {
    /// As it was accepted.
    pub placed: OrderPlaced,
    /// How much of it has traded.
    pub executed: Quantity,
    /// What that was worth, in the quote asset's smallest unit.
    pub executed_quote: Amount,
    /// When it was accepted.
    pub placed_at: Timestamp,
    /// When something last happened to it.
    pub updated: Timestamp,
    /// Since when it works; not yet, if it waits for its stop price.
    pub working_since: Option<Timestamp>,
    /// How often it was amended.
    pub amendments: u32,
    /// Of an iceberg order that works: how much of it shows.
    pub shown: Option<Quantity>,
    /// Since when it trails the price, and the farthest that it has seen.
    pub trailing_since: Option<Timestamp>,
    /// See there.
    pub extreme: Option<Price>,
    /// Of a pegged order that works: the price that it got.
    pub pegged: Option<Price>,
    /// What self-trade prevention has taken from it, if it has.
    pub prevention: Option<Prevention>,
}

impl OrderImported {
    /// How much has neither traded nor been prevented from it; `None` if that was more than it was for, or it names no
    /// quantity.
    #[must_use]
    pub fn left(&self) -> Option<Quantity> {
        let prevented = self.prevention.map_or(0, |prevention| prevention.quantity.0);
        let left = |quantity: Quantity| quantity.0.checked_sub(self.executed.0)?.checked_sub(prevented);
        match self.placed.terms.size {
            Size::Base(quantity) => left(quantity).map(Quantity),
            Size::Quote(_) => None,
        }
    }
}

/// What self-trade prevention has taken from an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prevention {
    /// How much of it.
    pub quantity: Quantity,
    /// The last match because of which some of it was.
    pub id: PreventedMatchId,
}

/// An order as it was accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderPlaced {
    /// The order id.
    pub order: OrderId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// What it asks for.
    pub terms: OrderTerms,
}

/// An order whose quantity was lowered. It keeps its place in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderAmended {
    /// The market.
    pub symbol: SymbolId,
    /// The order.
    pub order: OrderId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// How often it has been amended, with this time.
    pub count: u32,
    /// Its quantity from now on, with what of it has traded.
    pub quantity: Quantity,
    /// Its quantity before.
    pub quantity_before: Quantity,
    /// Its client order id from now on.
    pub client_order_id: ClientOrderId,
    /// Its client order id before.
    pub client_order_id_before: ClientOrderId,
}

/// A trade. The buyer receives base and pays its fee in base; the seller receives quote and pays its fee in quote;
/// unless either pays its fee in the asset of the discount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trade {
    /// The market.
    pub symbol: SymbolId,
    /// Its number there.
    pub trade: TradeId,
    /// At which price: the resting order's.
    pub price: Price,
    /// How much.
    pub quantity: Quantity,
    /// Price x quantity in the quote asset's smallest unit.
    pub quote: Amount,
    /// Which side the incoming order was on.
    pub taker_side: Side,
    /// The incoming order.
    pub taker: Party,
    /// The resting order.
    pub maker: Party,
    /// Who of them paid in another asset than the one that it received, if somebody did.
    pub discount: Option<Discounted>,
}

impl Trade {
    /// In which asset the incoming order (`taker`) or the resting one paid its fee, if that is not what it received.
    #[must_use]
    pub fn other_fee_asset(&self, taker: bool) -> Option<AssetId> {
        let paid = |discount: &Discounted| if taker { discount.taker } else { discount.maker };
        self.discount.filter(paid).map(|discount| discount.asset)
    }
}

/// Which sides of a trade paid their fees in an asset in which these are less.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Discounted {
    /// The asset.
    pub asset: AssetId,
    /// Whether the incoming order did.
    pub taker: bool,
    /// Whether the resting order did.
    pub maker: bool,
}

/// One side of a trade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Party {
    /// The order.
    pub order: OrderId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// What it paid the venue, in the asset that it received, if [`Trade::discount`] does not say otherwise.
    pub fee: Amount,
}

/// A match that self-trade prevention prevented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PreventedMatch {
    /// The market.
    pub symbol: SymbolId,
    /// Its number there.
    pub id: PreventedMatchId,
    /// Whose the incoming order is.
    pub account: AccountId,
    /// Which side the incoming order was on.
    pub taker_side: Side,
    /// The incoming order.
    pub taker: OrderId,
    /// The resting order.
    pub maker: OrderId,
    /// The mode that decided: the incoming order's; [`SelfTradePrevention::Decrement`] where that is
    /// [`SelfTradePrevention::Transfer`] and the resting order's is another.
    pub mode: SelfTradePrevention,
    /// At which price they would have traded: the resting order's.
    pub price: Price,
    /// How much would have traded.
    pub quantity: Quantity,
    /// What that would have been worth, in the quote asset's smallest unit.
    pub quote: Amount,
    /// How much of the incoming order is taken from it: all that was left if it expires, `quantity` if it is
    /// decremented, zero if nothing happens to it.
    pub taker_prevented: Quantity,
    /// The same of the resting order.
    pub maker_prevented: Quantity,
    /// Whose the resting order is, if it is another account's of the same trade group.
    pub counterparty: Option<AccountId>,
    /// The trade group of the incoming order.
    pub group: Option<TradeGroupId>,
}

impl PreventedMatch {
    /// Whose the resting order is.
    #[must_use]
    pub fn maker_account(&self) -> AccountId {
        self.counterparty.unwrap_or(self.account)
    }

    /// Whether either order is that account's.
    #[must_use]
    pub fn is_of(&self, account: AccountId) -> bool {
        self.account == account || self.counterparty == Some(account)
    }

    /// Whether that order is in it, and that account's.
    #[must_use]
    pub fn has_order(&self, account: AccountId, order: OrderId) -> bool {
        (self.account, self.taker) == (account, order) || (self.maker_account(), self.maker) == (account, order)
    }

    /// Whether what the orders would have traded has changed hands.
    #[must_use]
    pub fn is_transfer(&self) -> bool {
        self.mode == SelfTradePrevention::Transfer && self.counterparty.is_some()
    }
}

/// The end of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderClosed {
    /// The market.
    pub symbol: SymbolId,
    /// The order.
    pub order: OrderId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// Why the order ended.
    pub reason: CloseReason,
}

/// Why an order ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseReason {
    /// All of it traded (of a market order by quote amount: no further whole lot fits in the amount).
    Filled,
    /// Its owner cancelled it, under this name.
    Canceled {
        /// The client's name for the cancel.
        cancel_id: ClientOrderId,
    },
    /// Its own terms ended it: IOC or FOK, a market order without liquidity.
    Expired,
    /// Self-trade prevention ended it.
    SelfTradePrevented,
    /// It was triggered, and what was held for it is used up, or buys no lot.
    Unaffordable,
    /// It was amended to no more than what of it has traded.
    Amended,
    /// The other order of its pair traded, was triggered, or ended.
    OcoTrigger,
    /// The working order of its list ended before it was filled.
    WorkingEnded,
    /// The working order of its list was filled, and it could not be placed then.
    Unplaceable,
    /// The venue ended it: its next trade would have been further from the price than the circuit breaker allows, or
    /// its market was delisted.
    ByVenue,
    /// Its next trade would have been at a price at which the market's execution rule lets no order of its side trade.
    OutOfRange,
}

/// A change of a book's depth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DepthChanged {
    /// The market.
    pub symbol: SymbolId,
    /// Which side.
    pub side: Side,
    /// At which price.
    pub price: Price,
    /// What now rests there; zero if nothing.
    pub quantity: Quantity,
    /// Counts from 1 in each market without gaps.
    pub update: u64,
}

/// The balances of the venue's own accounts in a partition's ledger, for an asset. With the clients' balances the sum
/// is zero, as far as nothing is in flight between partitions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VenueAccount {
    /// The asset.
    pub asset: AssetId,
    /// The world outside: the negative of what came in and has not gone out.
    pub external: Amount,
    /// Collected fees that were not paid out.
    pub fees: Amount,
    /// On its way between partitions.
    pub clearing: Amount,
}
