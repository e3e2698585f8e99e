//! The book that most people would write first, from the standard library: a sorted map of prices, each with a queue,
//! and a hash map that tells where an order rests.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crossbook_oracle::workload::{Command, Op, Tally};
use crossbook_types::Side;

use crate::engine::Engine;

/// The orders at a price, first come first: id and what is left.
type Queue = VecDeque<(u32, u32)>;

/// The book.
#[derive(Default)]
pub struct Plain {
    bids: BTreeMap<u32, Queue>,
    asks: BTreeMap<u32, Queue>,
    places: HashMap<u32, (Side, u32)>,
}

impl Engine for Plain {
    fn apply(&mut self, _: usize, command: &Command, tally: &mut Tally) {
        if command.op == Op::Cancel {
            return self.cancel(command.id);
        }
        let mut left = command.qty;
        while left > 0 {
            let best = match command.side {
                Side::Buy => self.asks.first_entry(),
                Side::Sell => self.bids.last_entry(),
            };
            let Some(mut best) = best else { break };
            let price = *best.key();
            let beyond = match command.side {
                Side::Buy => price > command.price,
                Side::Sell => price < command.price,
            };
            if beyond {
                break;
            }
            let queue = best.get_mut();
            while left > 0
                && let Some((maker, offered)) = queue.front_mut()
            {
                let quantity = left.min(*offered);
                tally.trade(command.id, *maker, price, quantity);
                left -= quantity;
                *offered -= quantity;
                if *offered == 0 {
                    self.places.remove(maker);
                    queue.pop_front();
                }
            }
            if queue.is_empty() {
                best.remove();
            }
        }
        if left > 0 && command.op == Op::Limit {
            let levels = match command.side {
                Side::Buy => &mut self.bids,
                Side::Sell => &mut self.asks,
            };
            levels.entry(command.price).or_default().push_back((command.id, left));
            self.places.insert(command.id, (command.side, command.price));
        }
    }
}

impl Plain {
    fn cancel(&mut self, id: u32) {
        let Some((side, price)) = self.places.remove(&id) else { return };
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let Some(queue) = levels.get_mut(&price) else { return };
        if let Some(at) = queue.iter().position(|order| order.0 == id) {
            queue.remove(at);
        }
        if queue.is_empty() {
            levels.remove(&price);
        }
    }
}
