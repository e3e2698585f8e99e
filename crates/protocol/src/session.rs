//! The trading session of a market: whether it trades, pauses because its circuit breaker tripped, or collects orders
//! for an auction.
//!
//! It is state of the market's partition, and stands beside the status that the operator gives the market: only while
//! that is TRADING, the session decides. Its times are those of that partition's log. The engine has no clock: somebody
//! who watches the published sessions sends [`SessionChange::Pass`] when one seems to have reached its end, and each
//! order that comes later does the same.
//!
//! With it go the execution rule of a market, and its reference price.

use crossbook_types::{
    Breaker, MarketStatus, Price, PriceRange, Quantity, ReferenceCalculation, ReferencePrice, SymbolId, Timestamp,
    TradeBucket,
};

/// A change of a market's session. See [`Body::Session`](crate::Body::Session).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionRequest {
    /// The market.
    pub symbol: SymbolId,
    /// What is to happen.
    pub change: SessionChange,
}

/// What is to happen to a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionChange {
    /// The market gets this circuit breaker, or none. The prices of before do not count for it.
    SetBreaker(Option<Breaker>),
    /// The present phase ends before its time. A market that collects orders matches them.
    End,
    /// The phase whose end is at that time has reached it. Refused if the session is in another phase, or the time has
    /// not come; so whoever sees it pass may send this.
    Pass {
        /// As it was published.
        until: Timestamp,
    },
    /// The market collects orders for an auction from now on, whatever its phase.
    OpenAuction {
        /// For so many seconds, at most [`AUCTION_SECONDS_MAX`]; `None`: until somebody ends the phase.
        seconds: Option<u32>,
    },
    /// The market gets this execution rule, or none. This and the next two publish nothing that is as it was.
    SetPriceRange(Option<PriceRange>),
    /// The market's reference price is calculated in this way, or there is none. If it is another way than before, what
    /// was known for it is forgotten.
    SetReference(Option<ReferenceCalculation>),
    /// The reference price of a market that is calculated elsewhere is this, or there is none now.
    SetReferencePrice(Option<ReferencePrice>),
}

/// The longest time for which a market collects orders unless somebody ends that: a week.
pub const AUCTION_SECONDS_MAX: u32 = 604_800;

/// What a market's session lets its clients do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Phase {
    /// Everything: the market trades.
    #[default]
    Open,
    /// Cancel and amend. The circuit breaker has tripped.
    Paused,
    /// Place orders that rest, cancel and amend. They are collected for an auction, and none trades.
    Collecting,
    /// Nothing: what was collected is matched.
    Matching,
}

impl Phase {
    /// The status that a market shows in this phase, if its operator gives it that status.
    #[must_use]
    #[inline]
    pub fn status(self, operators: MarketStatus) -> MarketStatus {
        match (operators, self) {
            (MarketStatus::Trading, Self::Paused) => MarketStatus::CancelOnly,
            (MarketStatus::Trading, Self::Collecting | Self::Matching) => MarketStatus::AuctionMatch,
            _ => operators,
        }
    }
}

impl Phase {
    /// Whether buyers may offer more in the book than sellers ask.
    #[must_use]
    #[inline]
    pub fn is_auction(self) -> bool {
        matches!(self, Self::Collecting | Self::Matching)
    }
}

/// The price of an auction: of all prices at which most would trade, those that leave the least between what is bid and
/// what is offered at them, and of these the one nearest to the last trade; without a last trade the one in the middle,
/// the lower one of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuctionPrice {
    /// The market.
    pub symbol: SymbolId,
    /// At which price all trades of the auction are.
    pub price: Price,
    /// How much trades.
    pub quantity: Quantity,
}

/// Where a market's session stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session {
    /// The market.
    pub symbol: SymbolId,
    /// The phase.
    pub phase: Phase,
    /// When the phase ends, by the time of the market's partition; `None`: when somebody ends it.
    pub until: Option<Timestamp>,
    /// The circuit breaker.
    pub breaker: Option<Breaker>,
    /// The execution rule.
    pub price_range: Option<PriceRange>,
    /// The reference price.
    pub reference: Option<Reference>,
}

impl Session {
    /// That of a market that is open, and has nothing else.
    #[must_use]
    pub fn plain(symbol: SymbolId) -> Self {
        Self { symbol, phase: Phase::Open, until: None, breaker: None, price_range: None, reference: None }
    }
}

/// Where the reference price of a market comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reference {
    /// How it is calculated.
    pub calculation: ReferenceCalculation,
    /// What was sent last, if it is calculated elsewhere; `None`: nothing ever.
    pub external: Option<ExternalPrice>,
}

/// A reference price that was calculated elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExternalPrice {
    /// The price; `None`: there is none now.
    pub price: Option<ReferencePrice>,
    /// When it was set, by the time of the market's partition.
    pub since: Timestamp,
}

/// A session as it moves to another venue, with the prices that its circuit breaker knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MovedSession {
    /// Where it stood.
    pub session: Session,
    /// The price that was in force before the first part.
    pub before: Option<Price>,
    /// The parts of the breaker's window in which there were trades, the oldest first.
    pub parts: Vec<WindowPart>,
    /// The trades of which the reference price is the mean, the oldest first.
    pub buckets: Vec<TradeBucket>,
}

/// The trades of a part of the window of a circuit breaker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowPart {
    /// Which part since the beginning of time.
    pub number: u64,
    /// The lowest price.
    pub low: Price,
    /// The highest price.
    pub high: Price,
    /// The last price.
    pub last: Price,
}
