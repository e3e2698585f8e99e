//! Streams from files. A file of records can be well-formed and still be invalid: use an id twice, or move a filled
//! order. Benchmarks rely on valid streams, so a file first runs through the reference book, which also gives the
//! expected trades.

use crossbook_types::OrderId;

use super::{Command, Op, Tally, Workload, apply};
use crate::naive;

/// The highest price of a stream, in ticks, and the largest quantity, in lots: what the market of a
/// [`Feed`](crate::feed::Feed) takes and its accounts can pay.
pub const PRICE_MAX: u32 = 1_000_000;
/// See [`PRICE_MAX`].
pub const QUANTITY_MAX: u32 = 1_000_000;
/// The most orders that may rest at once: half of what a book takes.
pub const LIVE_MAX: usize = 1 << 20;

/// A command that cannot be carried out where it stands.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("record {record}: {what}")]
pub struct Invalid {
    /// Which record, counted from 0.
    pub record: usize,
    /// The reason.
    pub what: String,
}

impl Workload {
    /// Makes a stream from elsewhere one that everything here can run, and tallies the trades after the warm-up, by the
    /// reference book. A cancel or a move of an order that no longer rests, or never did, does nothing, and becomes a
    /// cancel; a move gets the side and the quantity that its order has.
    ///
    /// # Errors
    /// When a command cannot be carried out: a new id that is not the next one, a number out of bounds, too many orders
    /// at once; or when the warm-up is longer than the stream.
    pub fn settled(mut self) -> Result<(Self, Tally), Invalid> {
        let (mut book, mut tally, mut next_id) = (naive::Book::new(), Tally::default(), 1);
        let (warmup, length) = (self.warmup, self.commands.len());
        if warmup > length {
            let what = format!("there is none, but the warm-up is said to have {warmup} commands");
            return Err(Invalid { record: length, what });
        }
        for (record, command) in self.commands.iter_mut().enumerate() {
            if let Some(what) = out_of_bounds(command, next_id) {
                return Err(Invalid { record, what });
            }
            match (command.op, book.order(OrderId(command.id.into()))) {
                (Op::Limit | Op::Ioc, _) => next_id += 1,
                (Op::Move, None) => command.op = Op::Cancel,
                (Op::Move, Some(resting)) => {
                    command.side = resting.side;
                    command.qty = resting.quantity.0 as u32; // it came from a record
                }
                (Op::Cancel, _) => {}
            }
            apply(&mut book, command, &mut |fill| {
                if record >= warmup {
                    tally.fill(&fill);
                }
            });
            if book.len() > LIVE_MAX {
                return Err(Invalid { record, what: format!("more than {LIVE_MAX} orders rest at once") });
            }
        }
        Ok((self, tally))
    }
}

fn out_of_bounds(command: &Command, next_id: u32) -> Option<String> {
    let Command { op, id, price, qty, .. } = *command;
    let new = matches!(op, Op::Limit | Op::Ioc);
    if new && id != next_id {
        return Some(format!("a new order has id {id}; ids count from 1, and the next is {next_id}"));
    }
    if id >= next_id && !new {
        return Some(format!("order {id} is named before it was placed"));
    }
    if new && !(1..=QUANTITY_MAX).contains(&qty) {
        return Some(format!("a quantity of {qty}; from 1 to {QUANTITY_MAX} is possible"));
    }
    if matches!(op, Op::Limit | Op::Move) && !(1..=PRICE_MAX).contains(&price) {
        return Some(format!("a price of {price}; from 1 to {PRICE_MAX} is possible"));
    }
    None
}

#[cfg(test)]
mod tests {
    use crossbook_types::Side;

    use super::super::{mix_a, mix_b};
    use super::*;

    #[test]
    fn what_the_generators_make_stays_as_it_is() {
        for workload in [mix_a(7, 500, 3_000), mix_b(7, 100, 3_000)] {
            let tally = workload.reference_tally();
            assert_eq!(workload.clone().settled(), Ok((workload, tally)));
        }
    }

    #[test]
    fn what_cannot_be_carried_out_is_named() {
        let limit = Command { op: Op::Limit, side: Side::Buy, id: 1, price: 10, qty: 5 };
        let refused = |second: Command| Workload { commands: vec![limit, second], warmup: 0 }.settled().unwrap_err();
        for second in [
            limit,
            Command { id: 3, ..limit },
            Command { id: 2, qty: 0, ..limit },
            Command { id: 2, price: PRICE_MAX + 1, ..limit },
            Command { op: Op::Cancel, id: 2, ..limit },
            Command { op: Op::Move, price: 0, ..limit },
        ] {
            assert_eq!(refused(second).record, 1, "{second:?}");
        }
        assert!(Workload { commands: vec![limit], warmup: 2 }.settled().is_err());
    }

    #[test]
    fn what_aims_at_nothing_does_nothing() {
        let limit = Command { op: Op::Limit, side: Side::Buy, id: 1, price: 10, qty: 5 };
        let cancel = Command { op: Op::Cancel, ..limit };
        let moved = Command { op: Op::Move, price: 9, side: Side::Sell, qty: 77, ..limit };
        let (settled, _) = Workload { commands: vec![limit, moved, cancel, moved], warmup: 0 }.settled().unwrap();
        assert_eq!(settled.commands[1], Command { op: Op::Move, price: 9, ..limit });
        assert_eq!(settled.commands[3].op, Op::Cancel);
    }
}
