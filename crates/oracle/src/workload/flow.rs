//! Common parts of both generators: a book of their own, so that they can aim at the best price and at orders that
//! rest, and the list of these orders to draw from.

use crossbook_types::{OrderId, Price, Side};

use super::{Command, IOC_BUY_PRICE, IOC_SELL_PRICE, Op, SplitMix64, Workload, apply};
use crate::naive::{Book, Resting};

/// The place in `live` of an order that does not rest.
const NOWHERE: usize = usize::MAX;

/// A stream in the making.
pub(super) struct Flow {
    pub(super) random: SplitMix64,
    commands: Vec<Command>,
    warmup: usize,
    book: Book,
    /// The ids of resting orders. The order of this list is part of the workload: draws point into it.
    live: Vec<u32>,
    /// Where an id is in `live`. Ids count from 1; place 0 is never used.
    places: Vec<usize>,
    /// The price of the last trade.
    last_trade: Option<u32>,
}

impl Flow {
    pub(super) fn new(seed: u64, warmup: usize, count: usize) -> Self {
        Self {
            random: SplitMix64::new(seed),
            commands: Vec::with_capacity(warmup + count),
            warmup,
            book: Book::new(),
            live: Vec::new(),
            places: vec![NOWHERE],
            last_trade: None,
        }
    }

    pub(super) fn finish(self) -> Workload {
        Workload { commands: self.commands, warmup: self.warmup }
    }

    /// How many orders rest.
    pub(super) fn live(&self) -> usize {
        self.live.len()
    }

    pub(super) fn last_trade(&self) -> Option<u32> {
        self.last_trade
    }

    pub(super) fn best(&self, side: Side) -> Option<u32> {
        self.book.best(side).map(|Price(price)| narrow(price))
    }

    /// The price, or if that would trade, the one a tick short of the opposite best.
    pub(super) fn held_short(&self, side: Side, price: u32) -> u32 {
        match (side, self.best(side.opposite())) {
            (_, None) => price,
            (Side::Buy, Some(ask)) => price.min(ask - 1),
            (Side::Sell, Some(bid)) => price.max(bid + 1),
        }
    }

    /// A resting order, drawn with equal chances.
    ///
    /// # Panics
    /// When there is none.
    pub(super) fn draw_live(&mut self) -> Resting {
        let drawn = self.random.below(u32::try_from(self.live.len()).expect("ids have 32 bits"));
        let id = self.live[drawn as usize];
        self.book.order(OrderId(id.into())).expect("a live order rests")
    }

    pub(super) fn limit(&mut self, side: Side, price: u32, qty: u32) {
        let id = self.new_id();
        self.run(Command { op: Op::Limit, side, id, price, qty });
    }

    pub(super) fn ioc(&mut self, side: Side, qty: u32) {
        let price = match side {
            Side::Buy => IOC_BUY_PRICE,
            Side::Sell => IOC_SELL_PRICE,
        };
        let id = self.new_id();
        self.run(Command { op: Op::Ioc, side, id, price, qty });
    }

    pub(super) fn cancel(&mut self, order: &Resting) {
        self.run(Self::aimed(Op::Cancel, order, narrow(order.price.0)));
    }

    pub(super) fn move_to(&mut self, order: &Resting, price: u32) {
        self.run(Self::aimed(Op::Move, order, price));
    }

    fn aimed(op: Op, order: &Resting, price: u32) -> Command {
        Command { op, side: order.side, id: narrow(order.id.0), price, qty: narrow(order.quantity.0) }
    }

    fn new_id(&mut self) -> u32 {
        let id = u32::try_from(self.places.len()).expect("ids have 32 bits");
        self.places.push(NOWHERE);
        id
    }

    fn run(&mut self, command: Command) {
        let mut filled = Vec::new();
        let last_trade = &mut self.last_trade;
        apply(&mut self.book, &command, &mut |fill| {
            *last_trade = Some(narrow(fill.price.0));
            if fill.maker_left.is_zero() {
                filled.push(narrow(fill.maker.0));
            }
        });
        for maker in filled {
            self.forget(maker);
        }
        let rests = self.book.contains(OrderId(command.id.into()));
        let listed = self.places[command.id as usize] != NOWHERE;
        match (rests, listed) {
            (true, false) => {
                self.places[command.id as usize] = self.live.len();
                self.live.push(command.id);
            }
            (false, true) => self.forget(command.id),
            (true, true) | (false, false) => {}
        }
        self.commands.push(command);
    }

    fn forget(&mut self, id: u32) {
        let place = std::mem::replace(&mut self.places[id as usize], NOWHERE);
        self.live.swap_remove(place);
        if let Some(&moved) = self.live.get(place) {
            self.places[moved as usize] = place;
        }
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).expect("workload numbers have 32 bits")
}
