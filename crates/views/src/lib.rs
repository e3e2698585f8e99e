//! The read model: balances, orders, trades, depth, candles and tickers, derived from a partition's events.
//!
//! [`Views`] apply one event at a time and are then the state of the venue after it. They never read a clock: time
//! comes with the events or from the caller. They retain a bounded part of the past ([`Limits`]); each list knows the
//! newest entry that it evicted, so that a caller knows when an answer needs the history. The same events always give
//! the same [`State`], and views restored from it continue as if never interrupted.
//!
//! Impossible events panic: an order that trades more than its quantity, a gap in the ids of a market's trades or depth
//! updates, a book that is crossed after a command. They mean that events were lost or wrong, so that nothing in the
//! read model could be trusted.

pub mod account;
mod aging_slab;
pub mod amendments;
pub mod candles;
mod collected;
pub mod countdowns;
pub mod depth;
mod error;
mod hash;
pub mod history;
mod import;
pub mod interval;
pub mod limits;
pub mod market;
pub mod operator_log;
pub mod order;
pub mod order_list;
mod own;
pub mod period;
pub mod prevented;
mod reference;
pub mod registry;
pub mod state;
pub mod ticker;
pub mod trades;
mod warming;

pub use account::{Balance, Holdings};
pub use amendments::{Amendment, Amendments};
pub use candles::{Candle, CandleQuery, Candles};
pub use collected::Collected;
pub use countdowns::Countdowns;
pub use depth::{Depth, Level};
pub use error::Error;
pub use interval::{Interval, Offset};
pub use limits::{Forgotten, Limits, Window, keep_first, keep_last};
pub use market::MarketData;
pub use operator_log::OperatorLog;
pub use order::{Order, OwnTrade, Prevention, Progress};
pub use order_list::OrderList;
pub use period::{Counted, Period, PeriodTicker};
pub use prevented::{Prevented, PreventedMatches};
pub use reference::ReferenceAt;
pub use registry::Registry;
pub use state::State;
pub use ticker::{AveragePrice, BookTicker, Ticker};
pub use trades::{AggregateTrade, AggregateTradeId, AggregateTrades, PublicTrade, Trades};

use account::Accounts;
use crossbook_protocol::event::OrderClosed;
use crossbook_protocol::{Cause, Event};
use crossbook_types::{AccountId, SymbolId};

/// Everything that clients can ask for, as of one event.
#[derive(Clone, Debug)]
pub struct Views {
    limits: Limits,
    position: Option<Cause>,
    registry: Registry,
    accounts: Accounts,
    markets: Vec<MarketData>,
    countdowns: Countdowns,
    operator_log: OperatorLog,
    /// Markets whose depth the running command has changed.
    touched: Vec<SymbolId>,
    /// Scratch of [`Views::warm`].
    warmed: Vec<SymbolId>,
}

impl Views {
    /// Views of a venue at which nothing has happened yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            position: None,
            registry: Registry::default(),
            accounts: Accounts::default(),
            markets: Vec::new(),
            countdowns: Countdowns::default(),
            operator_log: OperatorLog::default(),
            touched: Vec::new(),
            warmed: Vec::new(),
        }
    }

    /// Folds one event.
    ///
    /// # Panics
    /// When the event cannot follow on those before; see the crate.
    pub fn apply(&mut self, cause: Cause, event: &Event) {
        if self.position != Some(cause) {
            self.advance(cause);
        }
        let time = cause.time;
        match event {
            Event::OrderPlaced(placed) => self.market_mut(placed.terms.symbol).place(placed, time),
            Event::OrderTriggered { symbol, order, .. } => self.market_mut(*symbol).trigger(*order, time),
            Event::OrderAmended(amended) => {
                let market = self.markets.get_mut(amended.symbol.0 as usize);
                market.expect("a market is listed before it trades").amend(amended, cause, &self.limits);
            }
            Event::OrderPegged { symbol, order, price, .. } => self.market_mut(*symbol).peg(*order, *price, time),
            Event::TrailingBegun { symbol, order, .. } => self.market_mut(*symbol).begin_trailing(*order, time),
            Event::Traded(trade) => {
                let market =
                    self.markets.get_mut(trade.symbol.0 as usize).expect("a market is listed before it trades");
                market.trade(trade, cause, &self.limits);
            }
            Event::OrderClosed(OrderClosed { symbol, order, reason, .. }) => {
                let market = self.markets.get_mut(symbol.0 as usize).expect("a market is listed before it trades");
                market.close(*order, *reason, time, &self.limits);
            }
            Event::DepthChanged(change) => {
                self.market_mut(change.symbol).change_depth(change);
                if self.touched.last() != Some(&change.symbol) {
                    self.touched.push(change.symbol);
                }
            }
            Event::BalanceChanged { account, asset, free, held } => {
                let balance = Balance { asset: *asset, free: *free, held: *held };
                self.accounts.change(*account, balance, time);
            }
            Event::MarketImported(market) => self.market_mut(market.symbol).move_in(market),
            Event::OrderImported(order) => self.market_mut(order.placed.terms.symbol).move_order_in(order),
            Event::MatchPrevented(prevented) => {
                let market = self.markets.get_mut(prevented.symbol.0 as usize);
                market.expect("a market is listed before it trades").prevent(prevented, time, &self.limits);
            }
            Event::SessionChanged(session) => self.market_mut(session.symbol).change_session(*session),
            Event::ReferenceImported { symbol, buckets } => self.market_mut(*symbol).move_reference_in(buckets),
            Event::OperatorActed(acted) => self.operator_log.record(acted, cause, self.limits.operator_log),
            Event::CountdownSet(_) | Event::CountdownEnded { .. } => self.countdowns.apply(event),
            Event::ListImported(_) | Event::ListPlaced(_) | Event::OrderReleased { .. } | Event::ListChanged { .. } => {
                self.apply_to_lists(cause, event)
            }
            Event::AssetListed(_)
            | Event::MarketListed(_)
            | Event::MarketChanged(_)
            | Event::AccountOpened(_)
            | Event::TradeGroupSet { .. }
            | Event::ApiKeyIssued(_)
            | Event::ApiKeyRevoked { .. }
            | Event::ExchangeFiltersChanged(_)
            | Event::AccountFeesChanged { .. }
            | Event::FeeTiersChanged(_)
            | Event::FeeDiscountChanged(_)
            | Event::DiscountUseChanged { .. }
            | Event::FrozenChanged { .. }
            | Event::FeeTierReached { .. } => self.apply_to_registry(event),
            // What moved stands in the balances, what was answered in the other events; what was refused is nowhere.
            Event::AuctionPriced(_)
            | Event::OrderDiscounted { .. }
            | Event::Transferred(_)
            | Event::TransferImported(_)
            | Event::MoneyImported { .. }
            | Event::FeesPaidOut(_)
            | Event::OrderRefused { .. }
            | Event::Answered { .. }
            | Event::CancelAllBegun { .. }
            | Event::RulesActivated(_) => {}
        }
    }

    /// Folds a change of assets, markets, accounts, keys, fees or filters.
    #[cold]
    fn apply_to_registry(&mut self, event: &Event) {
        match event {
            Event::AssetListed(asset) => self.registry.list_asset(*asset),
            Event::MarketListed(market) => {
                self.registry.list_market(**market);
                self.markets.push(MarketData::new(**market));
            }
            Event::MarketChanged(market) => {
                self.registry.change_market(**market);
                self.market_mut(market.id).change(**market);
            }
            Event::AccountOpened(account) => {
                self.registry.open_account((**account).clone());
                self.accounts.open(account.id, account.opened);
            }
            Event::TradeGroupSet { account, group } => self.registry.set_trade_group(*account, *group),
            Event::ApiKeyIssued(key) => self.registry.issue_api_key((**key).clone()),
            Event::ApiKeyRevoked { account, key } => self.registry.revoke_api_key(*account, *key),
            Event::ExchangeFiltersChanged(filters) => self.registry.set_exchange_filters(*filters),
            Event::AccountFeesChanged { account, fees } => self.registry.set_account_fees(*account, *fees),
            Event::FeeTiersChanged(tiers) => self.registry.set_fee_tiers((**tiers).clone()),
            Event::FeeDiscountChanged(discount) => self.registry.set_fee_discount((**discount).clone()),
            Event::DiscountUseChanged { account, on } => self.registry.set_discount_use(*account, *on),
            Event::FrozenChanged { account, on } => self.registry.set_frozen(*account, *on),
            Event::FeeTierReached { account, fees } => self.registry.reach_fee_tier(*account, *fees),
            _ => {}
        }
    }

    /// Folds an event of an order list.
    fn apply_to_lists(&mut self, cause: Cause, event: &Event) {
        let time = cause.time;
        match event {
            Event::ListImported(list) => self.market_mut(list.placed.symbol).move_list_in(list),
            Event::ListPlaced(placed) => self.market_mut(placed.symbol).place_list(placed, time),
            Event::OrderReleased { symbol, order, quantity, .. } => {
                self.market_mut(*symbol).release(*order, *quantity, time);
            }
            Event::ListChanged { symbol, list, status, .. } => {
                let market = self.markets.get_mut(symbol.0 as usize).expect("a market is listed before it trades");
                market.change_list(*list, *status, time, &self.limits);
            }
            _ => {}
        }
    }

    /// An order that is about to end, as it will be when [`Views::apply`] has folded its end. So it is known even where
    /// no ended orders are kept. `None` if there is no such open order.
    #[must_use]
    pub fn closing(&self, cause: Cause, closed: &OrderClosed) -> Option<Order> {
        let mut order = self.market(closed.symbol)?.open_order(closed.order)?.clone();
        order.close(closed.reason, cause.time);
        Some(order)
    }

    /// Ends a command: call it after the last of its events, also if there were none.
    ///
    /// # Panics
    /// When the command left a crossed book behind.
    pub fn end_of_command(&mut self, cause: Cause) {
        if self.position != Some(cause) {
            self.advance(cause);
        }
        while let Some(symbol) = self.touched.pop() {
            self.market_mut(symbol).check();
        }
    }

    /// Folds all events of a command.
    ///
    /// # Panics
    /// When they cannot follow on those before; see the crate.
    pub fn apply_all(&mut self, cause: Cause, events: &[Event]) {
        for event in events {
            self.apply(cause, event);
        }
        self.end_of_command(cause);
    }

    /// The last command folded, if there was one.
    #[must_use]
    pub fn position(&self) -> Option<Cause> {
        self.position
    }

    /// How much is kept.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Assets, markets, accounts and API keys.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What an account has; `None` if there is no such account.
    #[must_use]
    pub fn holdings(&self, account: AccountId) -> Option<&Holdings> {
        self.accounts.get(account)
    }

    /// The countdowns that run.
    #[must_use]
    pub fn countdowns(&self) -> &Countdowns {
        &self.countdowns
    }

    /// What operators have done in this partition.
    #[must_use]
    pub fn operator_log(&self) -> &OperatorLog {
        &self.operator_log
    }

    /// The market of that number.
    #[must_use]
    pub fn market(&self, symbol: SymbolId) -> Option<&MarketData> {
        self.markets.get(symbol.0 as usize)
    }

    /// All markets, by number.
    pub fn markets(&self) -> impl Iterator<Item = &MarketData> {
        self.markets.iter()
    }

    /// The open orders of an account in all markets, by market and number.
    pub fn open_orders(&self, account: AccountId) -> impl Iterator<Item = &Order> {
        self.markets.iter().flat_map(move |market| market.open_orders(account))
    }

    /// Everything, in one value. Take it between commands: within one, an order may have traded whole and not have
    /// ended yet, which [`Views::restore`] refuses.
    #[must_use]
    pub fn state(&self) -> State {
        State {
            position: self.position,
            registry: self.registry.state(),
            accounts: self.accounts.state(),
            markets: self.markets.iter().map(MarketData::state).collect(),
            countdowns: self.countdowns.list(),
            operator_log: self.operator_log.clone(),
        }
    }

    /// Views that continue from a state. If the limits are tighter than when it was created, the excess is dropped.
    ///
    /// # Errors
    /// When no sequence of events leads to such a state.
    pub fn restore(state: State, limits: Limits) -> Result<Self, Error> {
        let registry = Registry::restore(state.registry)?;
        if registry.markets().len() != state.markets.len() {
            return Err(Error("markets that are not in the registry"));
        }
        let described = registry.markets().iter().zip(state.markets);
        let markets = described.map(|(market, state)| MarketData::restore(*market, state, &limits));
        Ok(Self {
            markets: markets.collect::<Result<_, _>>()?,
            accounts: Accounts::restore(state.accounts)?,
            countdowns: Countdowns::of_list(state.countdowns),
            operator_log: state.operator_log.restored(limits.operator_log)?,
            position: state.position,
            registry,
            limits,
            touched: Vec::new(),
            warmed: Vec::new(),
        })
    }

    fn advance(&mut self, cause: Cause) {
        if let Some(before) = self.position {
            let follows = cause.sequence > before.sequence && cause.time >= before.time;
            assert!(follows, "command {} after {}", cause.sequence, before.sequence);
        }
        self.position = Some(cause);
    }

    fn market_mut(&mut self, symbol: SymbolId) -> &mut MarketData {
        self.markets.get_mut(symbol.0 as usize).expect("a market is listed before anything happens in it")
    }
}
