//! What must be true after each command.

use crossbook_protocol::session::Phase;

use super::{Judge, Running};
use crate::violation::{Violation, ensure};
use crate::workload::WORK;

impl Judge {
    /// A command has been judged.
    pub(super) fn end(&mut self, running: &Running) -> Result<(), Violation> {
        ensure!(
            running.ended_by_venue.is_none(),
            Market,
            "market {:?} does not pause though its breaker has ended an order",
            running.ended_by_venue
        );
        if let Some((symbol, order)) = running.worker {
            self.book(symbol)?.settle_down(order)?;
        }
        for &(symbol, side, price) in &running.touched {
            let book = self.book(symbol)?;
            let (published, resting) =
                (book.depth.get(&(side, price)).copied().unwrap_or(0), book.resting_at(side, price));
            ensure!(published == resting, Depth, "{published} lots are published at {price:?}, {resting} rest there");
            let crossed = book.is_crossed() && !book.sitting.phase.is_auction();
            ensure!(!crossed, Market, "market {symbol} is crossed");
        }
        if let Some(symbol) = running.traded {
            let book = self.book(symbol)?;
            // A command leaves those that it has reached only where others come first, or when it has done enough.
            let missed = book.reached_orders().next();
            // What those that trail see takes steps that no event tells of.
            let trails = book.open.values().any(|open| open.extreme.is_some());
            let may = book.was_reached || running.steps >= WORK.triggers || trails || book.sitting.phase != Phase::Open;
            ensure!(missed.is_none() || may, Market, "an order still waits though its stop was reached: {missed:?}");
        }
        let due = self.due_lists();
        for (symbol, book) in &mut self.books {
            book.forget_reached(due.contains(symbol));
            book.was_reached = book.reached.is_some() || due.contains(symbol);
        }
        self.check_lists()?;
        // An order that comes after the end of an auction's time has it matched, and then works itself.
        let most = if running.auctioned { WORK.triggers + WORK.continued } else { WORK.triggers.max(WORK.continued) };
        ensure!(running.triggered <= most, Market, "{} orders are triggered by one command", running.triggered);
        Ok(())
    }
}
