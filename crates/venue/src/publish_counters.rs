//! Counts published orders and trades, in all and by market, on their way to the publisher.

use crossbook_node::{EventSink, NotAccepted};
use crossbook_protocol::{Event, Events};
use crossbook_types::{RequestNumber, SymbolId, SymbolName};
use metrics::{Counter, counter};

/// The label of the markets beyond the bound, which are counted together.
const OTHER: &str = "other";

/// The two counters of a market.
#[derive(Clone, Debug)]
struct Counters {
    orders: Counter,
    trades: Counter,
}

impl Counters {
    fn of(symbol: String) -> Self {
        let counters = Self {
            orders: counter!("crossbook_market_orders_total", "symbol" => symbol.clone()),
            trades: counter!("crossbook_market_trades_total", "symbol" => symbol),
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
}

impl<O> PublishCounters<O> {
    /// Counts what goes to `inner`. Each of the first `markets_max` markets of the venue has counters of its own, the
    /// rest has two together: every label is a time series for as long as the process lives. `known` are the markets
    /// that were listed before.
    #[must_use]
    pub fn new(inner: O, known: impl IntoIterator<Item = (SymbolId, SymbolName)>, markets_max: u32) -> Self {
        let trades = counter!("crossbook_trades_total");
        let mut tally = Self { inner, trades, markets: Vec::new(), other: None, markets_max };
        known.into_iter().for_each(|(symbol, name)| tally.list(symbol, name));
        tally
    }

    fn list(&mut self, symbol: SymbolId, name: SymbolName) {
        if symbol.0 >= self.markets_max {
            self.other.get_or_insert_with(|| Counters::of(OTHER.to_owned()));
            return;
        }
        let at = symbol.0 as usize;
        if self.markets.len() <= at {
            self.markets.resize(at + 1, None);
        }
        self.markets[at] = Some(Counters::of(name.to_string()));
    }

    fn counters(&self, symbol: SymbolId) -> Option<&Counters> {
        match self.markets.get(symbol.0 as usize) {
            Some(Some(counters)) => Some(counters),
            _ => self.other.as_ref(),
        }
    }

    fn traded(&self, symbol: SymbolId) {
        self.trades.increment(1);
        if let Some(counters) = self.counters(symbol) {
            counters.trades.increment(1);
        }
    }

    fn placed(&self, symbol: SymbolId) {
        if let Some(counters) = self.counters(symbol) {
            counters.orders.increment(1);
        }
    }
}

impl<O: EventSink> EventSink for PublishCounters<O> {
    fn publish(&mut self, events: &mut Events) {
        for event in events.all() {
            match event {
                Event::Traded(trade) => self.traded(trade.symbol),
                Event::OrderPlaced(order) => self.placed(order.terms.symbol),
                Event::MarketListed(market) => self.list(market.id, market.symbol),
                _ => {}
            }
        }
        self.inner.publish(events);
    }

    fn not_accepted(&mut self, number: RequestNumber, why: NotAccepted) {
        self.inner.not_accepted(number, why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markets_beyond_the_bound_are_counted_together() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let name = |at| SymbolName::new_checked(&format!("M{at}")).unwrap();
            let mut tally = PublishCounters::new((), [(SymbolId(0), name(0))], 2);
            (1..4).for_each(|at| tally.list(SymbolId(at), name(at)));
            (0..4).for_each(|at| tally.traded(SymbolId(at)));
        });
        let text = recorder.handle().render();
        for line in [
            "crossbook_trades_total 4",
            "crossbook_market_trades_total{symbol=\"M0\"} 1",
            "crossbook_market_trades_total{symbol=\"M1\"} 1",
            "crossbook_market_trades_total{symbol=\"other\"} 2",
            "crossbook_market_orders_total{symbol=\"M1\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        assert!(!text.contains("M2") && !text.contains("M3"), "{text}");
    }
}
