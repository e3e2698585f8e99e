//! What must be true when all is at rest: of waiting orders, of what is held, and of what others show.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_engine::Partition;
use crossbook_protocol::session::Phase;
use crossbook_types::{AccountId, AssetId, MarketStatus, PartitionId, Price, Quantity, Side, SymbolId};
use crossbook_views::Views;

use super::{Book, Judge};
use crate::violation::{Violation, ensure};

impl Judge {
    /// Whether no order waits in an open market though its stop was reached.
    ///
    /// # Errors
    /// When one does.
    pub fn check_triggered(&self) -> Result<(), Violation> {
        let trades = |book: &&Book| book.market.status == MarketStatus::Trading && book.sitting.phase == Phase::Open;
        for book in self.books.values().filter(trades) {
            let missed = book.reached_orders().next();
            ensure!(missed.is_none(), Liveness, "an order still waits though its stop was reached: {missed:?}");
            let missed = book.open.values().find(|open| open.waits && open.due);
            ensure!(missed.is_none(), Liveness, "an order still trails though the price came back: {missed:?}");
        }
        for symbol in self.due_lists() {
            let open = self.books.get(&symbol).filter(trades);
            ensure!(open.is_none(), Liveness, "orders of a list in market {symbol} are still to be placed");
        }
        Ok(())
    }

    /// How many holds the open orders have. Those of a list that depend on others share one.
    #[must_use]
    pub fn holds(&self) -> usize {
        let orders = self.books.values().flat_map(|book| book.open.values());
        orders.filter(|open| !self.is_dependent(open)).count() + self.lists.len() + self.reserves().count()
    }

    /// The depth of a market as its orders make it.
    #[must_use]
    pub fn depth(&self, symbol: SymbolId) -> BTreeMap<(Side, Price), Quantity> {
        let mut depth: BTreeMap<(Side, Price), Quantity> = BTreeMap::new();
        for open in self.books.get(&symbol).into_iter().flat_map(|book| book.open.values()) {
            if let (Some(price), Some(_)) = (open.placed.terms.price, open.since) {
                let level = depth.entry((open.placed.terms.side, price)).or_default();
                *level = level.plus(Quantity(open.visible()));
            }
        }
        depth
    }

    /// Whether every account holds what its open orders need. So it is whenever nothing is between two partitions.
    ///
    /// # Errors
    /// When it does not.
    pub fn check_holds(&self) -> Result<(), Violation> {
        let mut needed: BTreeMap<(AccountId, AssetId), i128> = BTreeMap::new();
        for book in self.books.values() {
            for open in book.open.values().filter(|open| !self.is_dependent(open)) {
                let asset = book.pays(open.placed.terms.side);
                *needed.entry((open.placed.account, asset)).or_default() += book.needed(open, None);
            }
        }
        for list in self.lists.values() {
            if let Some((asset, amount)) = self.needed_for(list) {
                *needed.entry((list.account, asset)).or_default() += amount;
            }
        }
        for (account, reserve) in self.reserves() {
            *needed.entry((account, reserve.asset)).or_default() += reserve.left;
        }
        let keys: BTreeSet<_> = needed.keys().chain(self.balances.keys()).copied().collect();
        for key in keys {
            let needs = needed.get(&key).copied().unwrap_or(0);
            let held = self.balances.get(&key).map_or(0, |balance| balance.1);
            ensure!(needs == held, Holds, "account {} holds {held} of asset {}, its orders need {needs}", key.0, key.1);
        }
        Ok(())
    }

    /// Whether the published balances are those of the ledgers.
    ///
    /// # Errors
    /// When they are not.
    pub fn check_balances<'p>(&self, partitions: impl Iterator<Item = &'p Partition>) -> Result<(), Violation> {
        let all = partitions.flat_map(|partition| partition.ledger().balances());
        let actual: BTreeMap<_, _> =
            all.map(|(account, asset, balance)| ((account, asset), (balance.free.0, balance.held.0))).collect();
        for (key, balance) in &actual {
            let published = self.balances.get(key).copied().unwrap_or_default();
            ensure!(
                published == *balance,
                Published,
                "account {} has {balance:?} of asset {}, published was {published:?}",
                key.0,
                key.1
            );
        }
        let more = self.balances.iter().find(|(key, balance)| **balance != (0, 0) && !actual.contains_key(key));
        ensure!(more.is_none(), Published, "a balance that was published is in no ledger: {more:?}");
        Ok(())
    }

    /// Whether views agree with the published events: the markets' depth and open orders, the accounts' balances.
    ///
    /// # Errors
    /// When they do not.
    pub fn check_views(&self, views: &Views, partition: PartitionId) -> Result<(), Violation> {
        for market in views.markets() {
            let symbol = market.market().id;
            let depth = market.depth();
            let sides = [(Side::Buy, depth.bids().collect::<Vec<_>>()), (Side::Sell, depth.asks().collect())];
            let shown: BTreeMap<(Side, Price), Quantity> = sides
                .into_iter()
                .flat_map(|(side, levels)| levels.into_iter().map(move |level| ((side, level.price), level.quantity)))
                .collect();
            // Only the market's own partition publishes its orders.
            let due = self.depth(symbol);
            ensure!(
                shown.is_empty() || shown == due,
                Views,
                "partition {partition} shows {shown:?} in {symbol}, {due:?} rests"
            );
        }
        for (&(account, asset), &(free, held)) in &self.balances {
            let Some(holdings) = views.holdings(account) else { continue };
            let shown = holdings.balance(asset);
            let untold = shown.free.is_zero() && shown.held.is_zero();
            let same = (shown.free.0, shown.held.0) == (free, held);
            ensure!(
                untold || same,
                Views,
                "partition {partition} shows {shown:?} of account {account}, not {free} and {held}"
            );
        }
        Ok(())
    }
}
