//! A client of the depth streams, by the documented procedure: it subscribes, buffers updates, takes a snapshot of the
//! book that may be older or newer than they are, and continues from there without gaps.

use std::collections::BTreeMap;

use crossbook_protocol::Event;
use crossbook_protocol::event::DepthChanged;
use crossbook_types::{Price, Quantity, Side, SymbolId};
use crossbook_views::Depth;

use super::judge::Judge;
use crate::violation::{Violation, ensure};

/// The most changes that are kept while there is no snapshot.
const KEPT_MAX: usize = 10_000;

type Levels = BTreeMap<(Side, Price), Quantity>;

#[derive(Clone, Debug, Default)]
struct Stream {
    /// Changes since the subscription, while there is no book.
    kept: Vec<DepthChanged>,
    /// The number of the last change, and what rests at each price then.
    book: Option<(u64, Levels)>,
}

/// Follows some markets.
#[derive(Clone, Debug, Default)]
pub struct Subscriber(BTreeMap<SymbolId, Stream>);

impl Stream {
    fn follow(&mut self, change: &DepthChanged) -> Result<(), Violation> {
        let Some((last, book)) = &mut self.book else { return Ok(()) };
        if change.update <= *last {
            return Ok(());
        }
        ensure!(change.update == *last + 1, Depth, "the stream of {} has a gap after {last}", change.symbol);
        *last = change.update;
        if change.quantity.is_zero() {
            book.remove(&(change.side, change.price));
        } else {
            book.insert((change.side, change.price), change.quantity);
        }
        Ok(())
    }
}

impl Subscriber {
    /// Starts again with a market.
    pub fn subscribe(&mut self, symbol: SymbolId) {
        self.0.insert(symbol, Stream::default());
    }

    /// Takes a snapshot of a market that it has subscribed to and has no book of.
    ///
    /// # Errors
    /// When the changes that came do not follow on it.
    pub fn snapshot(&mut self, symbol: SymbolId, depth: &Depth) -> Result<(), Violation> {
        let Some(stream) = self.0.get_mut(&symbol).filter(|stream| stream.book.is_none()) else { return Ok(()) };
        // Older than the first change that came: the client asks again later.
        if stream.kept.first().is_some_and(|first| first.update > depth.last_update() + 1) {
            return Ok(());
        }
        let bids = depth.bids().map(|level| ((Side::Buy, level.price), level.quantity));
        let asks = depth.asks().map(|level| ((Side::Sell, level.price), level.quantity));
        stream.book = Some((depth.last_update(), bids.chain(asks).collect()));
        let kept = std::mem::take(&mut stream.kept);
        kept.iter().try_for_each(|change| stream.follow(change))
    }

    /// Takes what comes over the streams.
    ///
    /// # Errors
    /// When a change is missing.
    pub fn take(&mut self, events: &[Event]) -> Result<(), Violation> {
        for event in events {
            if let Event::DepthChanged(change) = event
                && let Some(stream) = self.0.get_mut(&change.symbol)
            {
                match &stream.book {
                    Some(_) => stream.follow(change)?,
                    None if stream.kept.len() < KEPT_MAX => stream.kept.push(*change),
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// Whether the books that it has are the markets'.
    ///
    /// # Errors
    /// When one is not.
    pub fn check(&self, judge: &Judge) -> Result<(), Violation> {
        for (&symbol, stream) in &self.0 {
            if let Some((last, book)) = &stream.book {
                let due = judge.depth(symbol);
                ensure!(*book == due, Depth, "a client has {book:?} of {symbol} at {last}, the book is {due:?}");
            }
        }
        Ok(())
    }
}
