//! The read model: what queries are answered from, of all partitions.
//!
//! Each partition has [`Views`] of its own, folded from its events alone, behind a lock of its own: one publisher
//! writes, everybody reads. A query goes to the partition that owns what it asks for. Assets, markets, accounts and API
//! keys are those of partition 0, which keeps the registry; balances those of the account's partition; orders, trades,
//! depth and candles those of the market's. An answer that spans partitions reads one after the other; no two locks are
//! ever held at once, so it is not of one instant.
//!
//! An order needs its market and its sender's API key before it is sent on. For these two it does not wait for the
//! registry partition's publisher, which holds its lock most of the time under load: markets are copied here under a
//! lock of their own, and revocations of API keys are counted, so that a caller that looked a key up knows whether that
//! still holds. Both change before the command that changes them is answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbook_protocol::session::{Phase, Session};
use crossbook_protocol::{Cause, Event, Routing};
use crossbook_types::{AccountId, Market, MarketStatus, PartitionId, SymbolId, SymbolName};
use crossbook_views::{MarketData, Order, Registry, Views};
use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};

/// The views of all partitions.
#[derive(Debug)]
pub struct ReadModel {
    routing: Routing,
    views: Vec<Arc<RwLock<Views>>>,
    markets: RwLock<BTreeMap<SymbolName, Market>>,
    /// The phases of the markets whose sessions are not open.
    phases: RwLock<BTreeMap<SymbolId, Phase>>,
    revocations: AtomicU64,
}

/// How far the views of a partition are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The partition.
    pub partition: PartitionId,
    /// The last command that they have folded, if there was one.
    pub position: Option<Cause>,
}

impl ReadModel {
    /// The read model of a venue of one partition.
    #[must_use]
    pub fn single(views: Views) -> Self {
        Self::of_views(Routing::single(), vec![views])
    }

    /// The read model of a venue of several partitions, with the views of each by number. `None` if there are not as
    /// many views as partitions.
    #[must_use]
    pub fn new_checked(routing: Routing, views: Vec<Views>) -> Option<Self> {
        (views.len() == usize::from(routing.partitions())).then(|| Self::of_views(routing, views))
    }

    fn of_views(routing: Routing, views: Vec<Views>) -> Self {
        let listed = views[usize::from(Routing::REGISTRY.0)].registry().markets();
        let listed = listed.iter().filter(|market| market.status != MarketStatus::Delisted);
        let markets = RwLock::new(listed.map(|market| (market.symbol, *market)).collect());
        let phases = views.iter().flat_map(Views::markets).map(|market| *market.session());
        let phases = phases.filter(|session| session.phase != Phase::Open);
        let phases = RwLock::new(phases.map(|session| (session.symbol, session.phase)).collect());
        let views = views.into_iter().map(|views| Arc::new(RwLock::new(views))).collect();
        Self { routing, views, markets, phases, revocations: AtomicU64::new(0) }
    }

    /// Applies an event of the registry's partition to the copies that orders need. The publisher calls this with each
    /// event that it folds, while it has that partition's views locked.
    pub(crate) fn apply(&self, event: &Event) {
        match event {
            Event::MarketChanged(market) if market.status == MarketStatus::Delisted => {
                // Another one may have its name.
                let mut markets = self.markets.write();
                if markets.get(&market.symbol).is_some_and(|named| named.id == market.id) {
                    markets.remove(&market.symbol);
                }
            }
            Event::MarketListed(market) | Event::MarketChanged(market) => {
                self.markets.write().insert(market.symbol, **market);
            }
            Event::ApiKeyRevoked { .. } => {
                self.revocations.fetch_add(1, Ordering::Release);
            }
            _ => {}
        }
    }

    /// Applies a change of a market's session, which its own partition publishes.
    pub(crate) fn apply_session(&self, session: &Session) {
        let mut phases = self.phases.write();
        match session.phase {
            Phase::Open => phases.remove(&session.symbol),
            phase => phases.insert(session.symbol, phase),
        };
    }

    /// A market of the registry with the status that clients are shown: that of its operator and of its session
    /// together.
    #[must_use]
    pub fn shown(&self, market: Market) -> Market {
        let phase = self.phases.read().get(&market.id).copied().unwrap_or_default();
        market.with_status(phase.status(market.status))
    }

    /// How many API keys have been revoked since this gateway started. What was found out about a key holds while this
    /// is the same as it was before.
    #[must_use]
    pub fn revocations(&self) -> u64 {
        self.revocations.load(Ordering::Acquire)
    }

    /// The market of that name, as the registry has it.
    #[must_use]
    pub fn market_named(&self, name: &str) -> Option<Market> {
        self.markets.read().get(&SymbolName::new_checked(name).ok()?).copied()
    }

    /// Which partition owns what.
    #[must_use]
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// The views of a partition.
    ///
    /// # Panics
    /// When there is no such partition.
    #[must_use]
    pub fn of(&self, partition: PartitionId) -> &Arc<RwLock<Views>> {
        &self.views[usize::from(partition.0)]
    }

    /// The views that have a market's orders, trades, depth and candles.
    #[must_use]
    pub fn of_market(&self, market: &Market) -> &Arc<RwLock<Views>> {
        self.of(self.routing.of_market(market))
    }

    /// The views that have an account's balances.
    #[must_use]
    pub fn of_account(&self, account: AccountId) -> &Arc<RwLock<Views>> {
        self.of(self.routing.of_account(account))
    }

    /// The views of each partition, by number.
    pub fn all(&self) -> impl Iterator<Item = (PartitionId, &Arc<RwLock<Views>>)> {
        self.routing.all().zip(&self.views)
    }

    /// Assets, markets, accounts and API keys, of the registry's partition. Nothing is folded there while this is held.
    pub fn registry(&self) -> MappedRwLockReadGuard<'_, Registry> {
        RwLockReadGuard::map(self.of(Routing::REGISTRY).read(), Views::registry)
    }

    /// Reads from the market of that name; `None` if there is none, or its partition has not learnt of it yet.
    pub fn market<T>(&self, name: &str, read: impl FnOnce(&MarketData, Standing) -> T) -> Option<T> {
        let market = self.market_named(name)?;
        let owner = self.routing.of_market(&market);
        let views = self.of(owner).read();
        let standing = Standing { partition: owner, position: views.position() };
        views.market(market.id).map(|data| read(data, standing))
    }

    /// Reads from every market that is not delisted, in the order of their numbers. Those of each partition are read in
    /// one go.
    pub fn markets<T>(&self, mut read: impl FnMut(&MarketData, Standing) -> T) -> Vec<T> {
        if let [views] = self.views.as_slice() {
            let views = views.read();
            let standing = Standing { partition: Routing::REGISTRY, position: views.position() };
            return views.markets().filter(|data| is_listed(data)).map(|data| read(data, standing)).collect();
        }
        let mut found = Vec::new();
        for (partition, views) in self.all() {
            let views = views.read();
            let standing = Standing { partition, position: views.position() };
            let own = views.markets().filter(|data| self.routing.of_market(data.market()) == partition);
            let own = own.filter(|data| is_listed(data));
            found.extend(own.map(|data| (data.market().id, read(data, standing))));
        }
        found.sort_by_key(|&(id, _)| id);
        found.into_iter().map(|(_, read)| read).collect()
    }

    /// The open orders of an account in all markets, by market and number.
    #[must_use]
    pub fn open_orders(&self, account: AccountId) -> Vec<Order> {
        let mut orders: Vec<Order> = Vec::new();
        for (_, views) in self.all() {
            orders.extend(views.read().open_orders(account).cloned());
        }
        if self.views.len() > 1 {
            orders.sort_by_key(|order| (order.terms.symbol, order.order));
        }
        orders
    }

    /// Where the views of each partition stand, by number.
    pub fn standings(&self) -> impl Iterator<Item = Standing> {
        self.all().map(|(partition, views)| Standing { partition, position: views.read().position() })
    }
}

fn is_listed(market: &MarketData) -> bool {
    market.market().status != MarketStatus::Delisted
}
