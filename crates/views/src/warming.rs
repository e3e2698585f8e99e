//! Prefetch for a batch of events.
//!
//! An order that ends may have rested for hours, and the order that is evicted for it ended long before: the index
//! entry, the order itself and its name are cache misses, each of which waits for the previous one. Over a batch these
//! chains are independent, so [`Views::warm`] walks them in parallel, one step for all, and the CPU overlaps the
//! misses. It only reads; the results are not used and may be stale when the event is applied.

use crossbook_protocol::Event;
use crossbook_types::OrderId;

use crate::Views;
use crate::limits::Limits;
use crate::own::Owned;

/// What a batch will touch in one market; scratch, empty between batches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coming {
    traded: Vec<OrderId>,
    closed: Vec<OrderId>,
    places: Vec<u32>,
}

impl Coming {
    fn is_empty(&self) -> bool {
        self.traded.is_empty() && self.closed.is_empty()
    }
}

impl Views {
    /// Has what these events will touch brought near; they are to be folded next. Changes nothing that can be seen. A
    /// few hundred events fit the nearest caches; of those of a single command nothing is gained.
    pub fn warm(&mut self, events: &[Event]) {
        for event in events {
            let symbol = match event {
                Event::Traded(trade) => trade.symbol,
                Event::OrderClosed(closed) => closed.symbol,
                _ => continue,
            };
            // One that is listed within the batch has nothing yet.
            let Some(market) = self.markets.get_mut(symbol.0 as usize) else { continue };
            let coming = market.coming();
            if coming.is_empty() {
                self.warmed.push(symbol);
            }
            match event {
                Event::Traded(trade) => coming.traded.extend([trade.maker.order, trade.taker.order]),
                Event::OrderClosed(closed) => coming.closed.push(closed.order),
                _ => {}
            }
        }
        while let Some(symbol) = self.warmed.pop() {
            if let Some(market) = self.markets.get_mut(symbol.0 as usize) {
                market.warm(&self.limits);
            }
        }
    }
}

impl Owned {
    /// Reads what folding `coming` will read or write, and empties it.
    pub(crate) fn warm(&self, coming: &mut Coming, limits: &Limits) {
        let Coming { traded, closed, places } = coming;
        places.extend(closed.iter().chain(&*traded).filter_map(|order| self.place_of(*order)));
        for at in places.drain(..) {
            self.warm_open(at);
        }
        // What is forgotten for those that end is mostly what ended first, of the whole market.
        places.extend(self.forgotten_next(closed.len(), limits));
        for at in places.drain(..) {
            self.warm_ended(at);
        }
        traded.clear();
        closed.clear();
    }
}
