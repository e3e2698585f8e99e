//! Facts: what the publishers publish to subscribers, typed. A codec turns them into messages.
//!
//! Two kinds of subscribers exist. Streams subscribe to markets and accounts: the publisher reads their
//! [`SubscriptionFilter`] and collects only what is wanted, in a [`Batch`] for their thread. [`FillSubscriber`]s hear
//! of each order's first trade.

use crossbeam_channel::Sender;
use crossbook_protocol::event::DepthChanged;
use crossbook_types::{AccountId, ApiKeyId, Asset, Market, MarketStatus, SymbolId, SymbolName, Timestamp};
use crossbook_views::{AggregateTrade, BookTicker, PublicTrade};
use parking_lot::RwLockReadGuard;

use std::sync::Arc;

use crate::account_events::AccountEvent;
use crate::subscription_filter::SubscriptionFilter;

/// Streams of facts, and which facts their subscribers want.
pub trait StreamSubscriber: Send + Sync + 'static {
    /// The facts that are wanted now. Subscriptions wait while this is held.
    fn interest(&self) -> RwLockReadGuard<'_, SubscriptionFilter>;

    /// A market exists: subscriptions by its name are for that number. Called before the market's first facts.
    fn market_listed(&self, name: SymbolName, symbol: SymbolId);
}

/// An order has traded for the first time, by a command that its owner is not answered for: it rested, or it had waited
/// for its stop price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FirstFill {
    /// The owner of the order.
    pub account: AccountId,
    /// Whether the order was the maker.
    pub maker: bool,
}

/// Receives first fills, before the sender of the other order is answered.
pub trait FillSubscriber: Send + Sync + 'static {
    /// An order has traded for the first time; it is published at `now` on this machine's clock.
    fn first_fill(&self, fill: FirstFill, now: Timestamp);
}

/// The subscribers of a venue's publishers.
#[derive(Clone)]
pub struct Subscribers {
    /// Which facts the streams want.
    pub streams: Arc<dyn StreamSubscriber>,
    /// Where the facts for the streams go. Their thread ends when the last of these is dropped.
    pub facts: Sender<Batch>,
    /// The subscriber to first fills.
    pub fills: Vec<Arc<dyn FillSubscriber>>,
}

impl std::fmt::Debug for Subscribers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscribers").finish_non_exhaustive()
    }
}

/// The facts of one batch of commands that have subscribers.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The time of its last command.
    pub time: Timestamp,
    /// Public facts, in order.
    pub public: Vec<Fact>,
    /// Facts for the owners of accounts, in order.
    pub private: Vec<(AccountId, AccountEvent)>,
}

impl Batch {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.public.is_empty() && self.private.is_empty()
    }
}

/// A public fact.
#[derive(Clone, Debug)]
pub enum Fact {
    /// An asset can be held.
    Asset(Asset),
    /// A market was listed or changed. Published by the registry's partition.
    Market(Box<Market>),
    /// Another partition has followed the listing of a market. Its facts may come before those of the registry's
    /// partition, but its description of the market may be older.
    MarketFollowed(Box<Market>),
    /// An API key is not valid any more.
    KeyRevoked(AccountId, ApiKeyId),
    /// A trade.
    Trade(SymbolId, PublicTrade),
    /// An aggregate trade.
    Aggregate(SymbolId, AggregateTrade),
    /// The best bid and ask.
    BookTicker(SymbolId, BookTicker),
    /// A price level.
    Depth(DepthChanged),
    /// The status of a market.
    Status(SymbolId, Status),
}

/// What a market lets its clients do from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// The status that its operator and its session give it together.
    pub status: MarketStatus,
    /// When its session gives it another; `None`: nobody knows.
    pub until: Option<Timestamp>,
    /// The command's time.
    pub time: Timestamp,
}
