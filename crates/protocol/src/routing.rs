//! Which partition owns what. Fixed when a venue is created; every process of it must agree.
//!
//! Accounts and markets are assigned by their number. A market may be assigned to a partition explicitly, by number or,
//! because numbers are only assigned when it is listed, by name. Its name is looked up once, when the market is listed;
//! from then on the number decides.

use std::collections::BTreeMap;

use crossbook_types::{AccountId, Market, PartitionId, SymbolId, SymbolName};

use crate::command::Body;
use crate::wire::codec::wire_struct;

/// Partitions, and who owns which account and symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routing {
    partitions: u16,
    /// Markets that are not assigned by their number, by name.
    names: BTreeMap<SymbolName, PartitionId>,
    /// The same by number: those that were given by number, and those of `names` that are listed.
    symbols: BTreeMap<SymbolId, PartitionId>,
}

impl Routing {
    /// The registry's partition.
    pub const REGISTRY: PartitionId = PartitionId(0);

    /// The most partitions there can be: the numbers above them are sources with a meaning of their own, see
    /// [`crate::import`].
    pub const PARTITIONS_MAX: u16 = u16::MAX - 2;

    /// One partition that owns all.
    #[must_use]
    pub fn single() -> Self {
        Self { partitions: 1, names: BTreeMap::new(), symbols: BTreeMap::new() }
    }

    /// `partitions` of them, symbols and accounts spread by their numbers, but for `symbols`. `None` if there are no
    /// partitions, more than [`Routing::PARTITIONS_MAX`], or a symbol is given to one that does not exist.
    #[must_use]
    pub fn new_checked(partitions: u16, symbols: BTreeMap<SymbolId, PartitionId>) -> Option<Self> {
        let routing = Self { partitions, names: BTreeMap::new(), symbols };
        routing.is_sound().then_some(routing)
    }

    /// The same, but the markets of these names go to these partitions. Names that are never listed do no harm. `None`
    /// if one is given to a partition that does not exist.
    #[must_use]
    pub fn with_names(mut self, names: BTreeMap<SymbolName, PartitionId>) -> Option<Self> {
        self.names = names;
        self.is_sound().then_some(self)
    }

    /// Whether there are partitions, not too many, and all that is given to one is given to one that exists. What was
    /// read from bytes need not be so.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        (1..=Self::PARTITIONS_MAX).contains(&self.partitions)
            && self.names.values().chain(self.symbols.values()).all(|partition| partition.0 < self.partitions)
    }

    /// Takes note of the number of a market that is listed. Must happen before anything is sent to it; again changes
    /// nothing.
    pub fn adopt(&mut self, market: &Market) {
        if let Some(&partition) = self.names.get(&market.symbol) {
            self.symbols.insert(market.id, partition);
        }
    }

    /// All partitions, by number.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = PartitionId> + use<> {
        (0..self.partitions).map(PartitionId)
    }

    /// How many partitions there are.
    #[must_use]
    #[inline]
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// The owner of an account.
    #[must_use]
    #[inline]
    pub fn of_account(&self, account: AccountId) -> PartitionId {
        self.spread(account.0)
    }

    /// The owner of a market, also for a caller that has not seen it listed and knows only the configuration.
    #[must_use]
    #[inline]
    pub fn of_market(&self, market: &Market) -> PartitionId {
        self.of_listed(market.id, &market.symbol)
    }

    /// The same, of a market of which only number and name are known.
    #[must_use]
    #[inline]
    pub fn of_listed(&self, id: SymbolId, name: &SymbolName) -> PartitionId {
        if self.partitions == 1 {
            return PartitionId(0);
        }
        self.names.get(name).copied().unwrap_or_else(|| self.of_symbol(id))
    }

    /// The owner of a market that is listed, as a partition knows it.
    #[must_use]
    #[inline]
    pub fn of_symbol(&self, symbol: SymbolId) -> PartitionId {
        if self.partitions == 1 {
            return PartitionId(0);
        }
        self.symbols.get(&symbol).copied().unwrap_or_else(|| self.spread(u64::from(symbol.0)))
    }

    /// The partition that a client's or operator's command is sent to: the owner of its account, or the registry's.
    /// Messages between partitions name their receiver themselves.
    #[must_use]
    pub fn home(&self, body: &Body) -> PartitionId {
        match body {
            Body::Place(order) => self.of_account(order.account),
            Body::Cancel(request) => self.of_account(request.account),
            Body::CancelAll(request) => self.of_account(request.account),
            Body::Amend(request) => self.of_account(request.account),
            Body::Replace(request) => self.of_account(request.order.account),
            Body::PlaceList(list) => self.of_account(list.account),
            Body::CancelList(request) => self.of_account(request.account),
            Body::Transfer(request) => self.of_account(request.account),
            Body::SetCountdown(request) => self.of_account(request.account),
            Body::EndCountdown(countdown) => self.of_account(countdown.account),
            Body::ReportVenue { partition } => self.existing(*partition),
            Body::PayOutFees(request) => self.existing(request.partition),
            Body::Operated(operated) => self.home(&operated.body),
            Body::ListAsset(_)
            | Body::ListMarket(_)
            | Body::ChangeMarket(_)
            | Body::OpenAccount(_)
            | Body::IssueApiKey(_)
            | Body::RevokeApiKey(_)
            | Body::ActivateRules(_)
            | Body::SetExchangeFilters(_)
            | Body::SetAccountFees(_)
            | Body::SetFeeTiers(_)
            | Body::SetFeeDiscount(_)
            | Body::SetDiscountUse { .. }
            | Body::SetFrozen { .. }
            | Body::Session(_)
            | Body::DelistMarket { .. }
            | Body::SetTradeGroup(_)
            | Body::Peer(_)
            | Body::Import(_) => Self::REGISTRY,
        }
    }

    /// A partition that is named from outside; the registry's if it does not exist, which refuses what is not for it.
    fn existing(&self, partition: PartitionId) -> PartitionId {
        if partition.0 < self.partitions { partition } else { Self::REGISTRY }
    }

    /// Spreads ids that were counted up, so that neighbours part.
    #[inline]
    fn spread(&self, id: u64) -> PartitionId {
        if self.partitions == 1 {
            return PartitionId(0);
        }
        let mixed = (id ^ (id >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let scaled = (u128::from(mixed) * u128::from(self.partitions)) >> 64;
        PartitionId(u16::try_from(scaled).expect("scaled below the number of partitions"))
    }
}

wire_struct! {
    Routing { 0: partitions, 1: names, 2: symbols }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_partition_that_is_not_there_is_not_sound() {
        assert!(Routing::single().is_sound());
        let name = SymbolName::new_checked("BTCUSDT").unwrap();
        for bad in [
            Routing { partitions: 0, ..Routing::single() },
            Routing { partitions: u16::MAX, ..Routing::single() },
            Routing { names: BTreeMap::from([(name, PartitionId(1))]), ..Routing::single() },
            Routing { symbols: BTreeMap::from([(SymbolId(0), PartitionId(1))]), ..Routing::single() },
        ] {
            assert!(!bad.is_sound(), "{bad:?}");
        }
    }
}
