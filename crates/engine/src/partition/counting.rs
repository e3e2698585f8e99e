//! Counts what accounts have open where a limit that their partition knows is switched on.
//!
//! While no limit is on, nothing is counted, and an order costs nothing more. While one is, orders are counted as they
//! are admitted. What an account had open before is counted when it places its next order, before that is checked: here
//! as many orders as one command counts, and with its later orders the rest. Markets of other partitions are asked, and
//! answer in the order of their other messages, so that what they count is open still; what they have open counts from
//! their answer on.

use std::collections::BTreeMap;

use crossbook_protocol::counted::Counted;
use crossbook_protocol::order_list::NewList;
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{AccountId, HoldId, OrderId, Sequence, Side, SymbolId};

use super::Partition;
use crate::registry::Registry;

/// A limit: what an account may come to have of the base asset of a market, or `None`, the filters of the venue.
type Limit = Option<SymbolId>;
/// A market, and the number of the order there with which counting goes on.
type Place = (SymbolId, OrderId);

/// The limits that are on, and for which accounts what was open before is counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Limits {
    /// Those that are on, and by which command they were switched on.
    since: BTreeMap<Limit, Sequence>,
    /// Of those alone.
    counted: BTreeMap<(Limit, AccountId), Progress>,
}

/// How far the open orders of an account are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Progress {
    /// The command that switched the limit on for which they are. If it was switched on again, they are counted again.
    since: Sequence,
    /// The market and the order to go on with.
    next: Option<Place>,
}

impl Limits {
    #[inline]
    pub(crate) fn are_on(&self) -> bool {
        !self.since.is_empty()
    }

    /// Whether those are on that a registry says are.
    pub(crate) fn are_of(&self, registry: &Registry) -> bool {
        let markets = registry.markets().iter().map(|market| Some(market.id));
        let on = std::iter::once(None).chain(markets).filter(|&limit| is_on(registry, limit));
        on.eq(self.since.keys().copied())
    }
}

fn is_on(registry: &Registry, limit: Limit) -> bool {
    match limit {
        None => !registry.exchange_filters().is_off(),
        Some(symbol) => registry.market(symbol).is_some_and(|market| !market.filters.relative.position_max.is_zero()),
    }
}

impl Partition {
    /// Learns from the registry whether a limit is on.
    pub(crate) fn note_limit(&mut self, limit: Limit) {
        if is_on(&self.registry, limit) {
            self.limits.since.entry(limit).or_insert(self.sequence);
        } else if self.limits.since.remove(&limit).is_some() {
            // Once it is on again, everybody is counted again.
            self.limits.counted.retain(|&(of, _), _| of != limit);
        }
    }

    /// Counts what an account has open that is about to place an order, as far as that is needed and not done yet.
    #[cold]
    pub(super) fn count_open(&mut self, account: AccountId, symbol: SymbolId, buys: bool) {
        if !self.ledger.has(account) || self.registry.market(symbol).is_none() {
            return;
        }
        self.count_for(account, None);
        if buys {
            self.count_for(account, Some(symbol));
        }
    }

    /// The same of an account that is about to place a list.
    pub(super) fn count_open_for_list(&mut self, list: &NewList) {
        let buys = list.orders.iter().any(|order| order.side == Side::Buy);
        self.count_open(list.account, list.symbol, buys);
    }

    fn count_for(&mut self, account: AccountId, limit: Limit) {
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::OpenIsNotCounted) {
            return;
        }
        let Some(&since) = self.limits.since.get(&limit) else { return };
        let known = self.limits.counted.get(&(limit, account)).filter(|progress| progress.since == since);
        let from = match known {
            Some(Progress { next: None, .. }) => return,
            Some(&Progress { next: Some(next), .. }) => next,
            None => {
                let from = (limit.unwrap_or(SymbolId(0)), OrderId(0));
                self.ask_others(account, limit, from);
                from
            }
        };
        let (holds, next) = self.open_orders(account, limit, from);
        self.limits.counted.insert((limit, account), Progress { since, next });
        self.count_holds(account, &holds);
    }

    /// Asks other partitions what an account has open in their markets.
    fn ask_others(&mut self, account: AccountId, limit: Limit, from: Place) {
        let message = PeerMessage::CountOrders { account, limit, from };
        match limit {
            None => self.outbox.post_to_others(&message),
            Some(symbol) => {
                if let Some(owner) = self.elsewhere(symbol) {
                    self.outbox.post(owner, message);
                }
            }
        }
    }

    /// What the open orders of an account in markets of this partition count for, from one on, and with which to go on.
    fn open_orders(
        &self,
        account: AccountId,
        limit: Limit,
        (symbol, order): Place,
    ) -> (Vec<(HoldId, Counted)>, Option<Place>) {
        let (mut left, mut holds) = (self.work.counted, Vec::new());
        let markets = self.matchers.iter().skip(symbol.0 as usize).flatten();
        let markets = markets.take_while(|matcher| limit.is_none_or(|limit| limit == matcher.market().id));
        for matcher in markets {
            let at = matcher.market().id;
            let from = if at == symbol { order } else { OrderId(0) };
            if let Some(next) = matcher.count_orders(account, limit.is_some(), from, &mut left, &mut holds) {
                return (holds, Some((at, next)));
            }
        }
        (holds, None)
    }

    fn count_holds(&mut self, account: AccountId, holds: &[(HoldId, Counted)]) {
        holds.iter().for_each(|&(hold, counted)| self.ledger.count_more(account, hold, counted));
    }

    /// Tells an account's partition what it has open here.
    pub(super) fn tell_counted(&mut self, account: AccountId, limit: Limit, from: Place) {
        let (holds, next) = self.open_orders(account, limit, from);
        let owner = self.outbox.routing().of_account(account);
        if !holds.is_empty() || next.is_some() {
            self.outbox.post(owner, PeerMessage::OrdersCounted { account, limit, holds, next });
        }
    }

    /// Counts what an account has open in markets of another partition, and asks for more of it.
    pub(super) fn take_counted(
        &mut self,
        account: AccountId,
        limit: Limit,
        holds: &[(HoldId, Counted)],
        next: Option<Place>,
    ) {
        self.count_holds(account, holds);
        if let Some(from) = next
            && let Some(owner) = self.elsewhere(from.0)
        {
            self.outbox.post(owner, PeerMessage::CountOrders { account, limit, from });
        }
    }
}

wire_struct! {
    Limits { 0: since, 1: counted }
    plain Progress { 0: since, 1: next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbook_protocol::command::{ListAsset, ListMarket, OpenAccount};
    use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
    use crossbook_protocol::{Body, Command, Events, Routing, Rules};
    use crossbook_types::{
        Amount, ClientOrderId, ExchangeFilters, OrderType, PartitionId, Price, Quantity, RequestNumber,
        SelfTradePrevention, SourceId, TimeInForce, Timestamp, TransferId, market::Description,
    };

    const OFF: ExchangeFilters =
        ExchangeFilters { orders_max: 0, algo_orders_max: 0, iceberg_orders_max: 0, order_lists_max: 0 };

    fn apply(partition: &mut Partition, body: Body) {
        let (sequence, mut events) = (partition.sequence().next(), Events::new());
        let number = RequestNumber(sequence.0);
        partition.apply(&Command::new(sequence, Timestamp(sequence.0), SourceId(1 << 20), number, body), &mut events);
    }

    fn bid(account: AccountId, name: &str) -> Body {
        let terms = OrderTerms {
            symbol: SymbolId(0),
            client_order_id: ClientOrderId::new_checked(name).unwrap(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Some(Price(100)),
            size: Size::Base(Quantity(1)),
            stop_price: None.into(),
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        };
        Body::Place(NewOrder { account, terms })
    }

    /// A partition with one account, in whose market a position is bounded.
    fn bounded() -> (Partition, AccountId) {
        let mut partition = Partition::new(PartitionId(0), Routing::single(), 7);
        let market = crossbook_oracle::sample::btcusdt();
        apply(&mut partition, Body::ActivateRules(Rules::V4));
        for asset in [market.base, market.quote] {
            apply(&mut partition, Body::ListAsset(ListAsset { name: asset.name, decimals: asset.decimals }));
        }
        let mut filters = market.filters;
        filters.relative.position_max = Amount(1 << 60);
        let description = Description { filters, ..market };
        apply(&mut partition, Body::ListMarket(Box::new(ListMarket { description })));
        apply(&mut partition, Body::OpenAccount(OpenAccount { label: String::new() }));
        let account = AccountId::FIRST_CLIENT;
        let transfer = TransferId::new_checked("t").unwrap();
        let funds = crossbook_protocol::command::TransferRequest {
            account,
            asset: market.quote.id,
            amount: Amount(1 << 60),
            transfer,
        };
        apply(&mut partition, Body::Transfer(funds));
        (partition, account)
    }

    #[test]
    fn what_was_counted_for_a_limit_goes_with_it() {
        let (mut partition, account) = bounded();
        let on = |partition: &Partition| -> Vec<Limit> {
            partition.limits.counted.keys().map(|&(limit, _)| limit).collect()
        };
        apply(&mut partition, Body::SetExchangeFilters(ExchangeFilters { orders_max: 9, ..OFF }));
        apply(&mut partition, bid(account, "a"));
        assert_eq!(on(&partition), [None, Some(SymbolId(0))]);
        apply(&mut partition, Body::SetExchangeFilters(OFF));
        assert_eq!(on(&partition), [Some(SymbolId(0))], "the other limit is on");
        // After a restart everything is as it was, and what is switched on again counts again.
        let mut restored = Partition::restore(partition.state(), 8).unwrap();
        for partition in [&mut partition, &mut restored] {
            apply(partition, bid(account, "b"));
            apply(partition, Body::SetExchangeFilters(ExchangeFilters { orders_max: 9, ..OFF }));
            apply(partition, bid(account, "c"));
            assert_eq!(partition.ledger.order_counts(account).orders, 3);
        }
        assert_eq!(partition.state(), restored.state());
        assert_eq!(on(&partition), [None, Some(SymbolId(0))]);
    }
}
