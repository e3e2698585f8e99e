//! Counts published orders and trades, in all and by market, and notes who has placed orders, on their way to the
//! publisher.

use std::sync::Arc;

use crossbook_node::{EventSink, NotAccepted};
use crossbook_protocol::{Event, Events};
use crossbook_types::{Amount, Asset, Market, RequestNumber, Sequence, SymbolId};
use metrics::{Counter, counter};

use crate::active_accounts::ActiveAccounts;

/// The label of the markets beyond the bound, which are counted together.
const OTHER: &str = "other";

/// The counters of a market.
#[derive(Clone, Debug)]
struct Counters {
    orders: Counter,
    trades: Counter,
    /// Absent where markets with different quote assets are counted together.
    volume: Option<Volume>,
}

/// Counts what is paid in a market, in whole units of the quote asset, because counters are whole numbers.
#[derive(Clone, Debug)]
struct Volume {
    counter: Counter,
    /// Smallest units in a whole one.
    whole: i128,
    /// Smallest units that are not counted yet; fewer than `whole`.
    rest: i128,
}

impl Volume {
    fn of(symbol: &str, quote: &Asset) -> Self {
        let labels = [("symbol", symbol.to_owned()), ("asset", quote.name.to_string())];
        let counter = counter!("crossbook_market_volume_total", &labels);
        counter.increment(0);
        Self { counter, whole: 10_i128.checked_pow(quote.decimals.into()).unwrap_or(i128::MAX), rest: 0 }
    }

    fn add(&mut self, Amount(paid): Amount) {
        self.rest = self.rest.saturating_add(paid);
        if self.rest >= self.whole {
            self.counter.increment(u64::try_from(self.rest / self.whole).unwrap_or(0));
            self.rest %= self.whole;
        }
    }
}

impl Counters {
    fn of(symbol: &str, quote: Option<&Asset>) -> Self {
        let counters = Self {
            orders: counter!("crossbook_market_orders_total", "symbol" => symbol.to_owned()),
            trades: counter!("crossbook_market_trades_total", "symbol" => symbol.to_owned()),
            volume: quote.map(|quote| Volume::of(symbol, quote)),
        };
        counters.orders.increment(0);
        counters.trades.increment(0);
        counters
    }
}

/// An event sink that counts.
#[derive(Debug)]
pub struct PublishCounters<O> {
    inner: O,
    trades: Counter,
    /// By market number, up to the bound.
    markets: Vec<Option<Counters>>,
    other: Option<Counters>,
    markets_max: u32,
    accounts: Arc<ActiveAccounts>,
    /// What came up to here is not counted.
    since: Sequence,
}

impl<O> PublishCounters<O> {
    /// Counts what goes to `inner`. Each of the first `markets_max` markets of the venue has counters of its own, the
    /// rest has two together: every label is a time series for as long as the process lives. `known` are the markets
    /// that were listed before; `accounts` notes who places orders.
    #[must_use]
    pub fn new<'a>(
        inner: O,
        known: impl IntoIterator<Item = &'a Market>,
        markets_max: u32,
        accounts: Arc<ActiveAccounts>,
    ) -> Self {
        let trades = counter!("crossbook_trades_total");
        let (markets, since) = (Vec::new(), Sequence(0));
        let mut tally = Self { inner, trades, markets, other: None, markets_max, accounts, since };
        known.into_iter().for_each(|market| tally.list(market.id, market.symbol.as_str(), &market.quote));
        tally
    }

    /// Counts only what comes after this command: what the log has when the process starts is of the past.
    #[must_use]
    pub fn since(self, since: Sequence) -> Self {
        Self { since, ..self }
    }

    fn list(&mut self, symbol: SymbolId, name: &str, quote: &Asset) {
        if symbol.0 >= self.markets_max {
            self.other.get_or_insert_with(|| Counters::of(OTHER, None));
            return;
        }
        let at = symbol.0 as usize;
        if self.markets.len() <= at {
            self.markets.resize(at + 1, None);
        }
        self.markets[at] = Some(Counters::of(name, Some(quote)));
    }

    fn counters(&mut self, symbol: SymbolId) -> Option<&mut Counters> {
        match self.markets.get_mut(symbol.0 as usize) {
            Some(Some(counters)) => Some(counters),
            _ => self.other.as_mut(),
        }
    }

    fn traded(&mut self, symbol: SymbolId, paid: Amount) {
        self.trades.increment(1);
        if let Some(counters) = self.counters(symbol) {
            counters.trades.increment(1);
            if let Some(volume) = &mut counters.volume {
                volume.add(paid);
            }
        }
    }

    fn placed(&mut self, symbol: SymbolId) {
        if let Some(counters) = self.counters(symbol) {
            counters.orders.increment(1);
        }
    }
}

impl<O: EventSink> EventSink for PublishCounters<O> {
    fn publish(&mut self, events: &mut Events) {
        let accounts = Arc::clone(&self.accounts);
        let mut noting = None;
        for (cause, events) in events.iter() {
            let is_past = cause.sequence <= self.since;
            for event in events {
                match event {
                    Event::MarketListed(market) => self.list(market.id, market.symbol.as_str(), &market.quote),
                    _ if is_past => {}
                    Event::Traded(trade) => self.traded(trade.symbol, trade.quote),
                    Event::OrderPlaced(order) => {
                        self.placed(order.terms.symbol);
                        noting.get_or_insert_with(|| accounts.note()).placed(order.account);
                    }
                    _ => {}
                }
            }
        }
        drop(noting);
        self.inner.publish(events);
    }

    fn not_accepted(&mut self, number: RequestNumber, why: NotAccepted) {
        self.inner.not_accepted(number, why);
    }
}

#[cfg(test)]
mod tests {
    use crossbook_protocol::event::{Cause, Party, Trade};
    use crossbook_types::{AccountId, AssetId, AssetName, OrderId, Price, Quantity, Side, Timestamp, TradeId};

    use super::*;

    /// Publishes to nobody.
    struct Nobody;

    impl EventSink for Nobody {
        fn publish(&mut self, _: &mut Events) {}

        fn not_accepted(&mut self, _: RequestNumber, _: NotAccepted) {}
    }

    #[test]
    fn what_the_log_has_at_the_start_is_not_counted() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let quote = Asset { id: AssetId(1), name: AssetName::new_checked("USDT").unwrap(), decimals: 2 };
            let mut tally = PublishCounters::new(Nobody, [], 8, Arc::default()).since(Sequence(7));
            tally.list(SymbolId(0), "M0", &quote);
            let mut events = Events::new();
            let party = Party { order: OrderId(1), account: AccountId(1_001), fee: Amount(0) };
            for sequence in [6, 7, 8] {
                let trade = Trade {
                    symbol: SymbolId(0),
                    trade: TradeId(sequence),
                    price: Price(1),
                    quantity: Quantity(1),
                    quote: Amount(1_000),
                    taker_side: Side::Buy,
                    taker: party,
                    maker: party,
                    discount: None,
                };
                let cause = Cause { sequence: Sequence(sequence), time: Timestamp(1) };
                events.add_command(cause, [Event::Traded(trade)]);
            }
            tally.publish(&mut events);
        });
        let text = recorder.handle().render();
        for line in ["crossbook_trades_total 1", "crossbook_market_volume_total{symbol=\"M0\",asset=\"USDT\"} 10"] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }

    #[test]
    fn markets_beyond_the_bound_are_counted_together() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let quote = Asset { id: AssetId(1), name: AssetName::new_checked("USDT").unwrap(), decimals: 2 };
            let mut tally = PublishCounters::new((), [], 2, Arc::default());
            (0..4).for_each(|at| tally.list(SymbolId(at), &format!("M{at}"), &quote));
            (0..4).for_each(|at| tally.traded(SymbolId(at), Amount(260)));
            tally.traded(SymbolId(0), Amount(139));
            tally.traded(SymbolId(0), Amount(1));
        });
        let text = recorder.handle().render();
        for line in [
            "crossbook_trades_total 6",
            "crossbook_market_trades_total{symbol=\"M0\"} 3",
            "crossbook_market_volume_total{symbol=\"M0\",asset=\"USDT\"} 4",
            "crossbook_market_volume_total{symbol=\"M1\",asset=\"USDT\"} 2",
            "crossbook_market_trades_total{symbol=\"M1\"} 1",
            "crossbook_market_trades_total{symbol=\"other\"} 2",
            "crossbook_market_orders_total{symbol=\"M1\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        assert!(!text.contains("M2") && !text.contains("M3"), "{text}");
    }
}
