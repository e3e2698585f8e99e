//! The record of a soak test: which orders were acknowledged, what must have traded, and which balances follow. It
//! knows only the answers to orders and cancels, never the state of the venue afterwards.
//!
//! The answer to an order lists its trades. The [price](super::market) identifies the other side of a trade; its fee
//! follows from the market's maker fee.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_types::Side;

use super::acknowledged::{Acknowledged, Told};
use super::market::{ASSETS, Ladder, MAKER_FEE, MARKETS, QUOTE, Worth, fee};

/// Orders without an answer that are remembered, to be asked for by name at the end.
pub const UNANSWERED_MAX: usize = 100_000;
/// Differences are counted, and so many are described.
pub const EXAMPLES_MAX: usize = 20;

/// What has traded, in smallest units, fees not counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traded {
    /// Base asset bought.
    pub bought: i128,
    /// Quote asset paid for it.
    pub paid: i128,
    /// Base asset sold.
    pub sold: i128,
    /// Quote asset received for it.
    pub received: i128,
}

impl Traded {
    /// Adds a trade.
    pub fn add(&mut self, side: Side, worth: Worth) {
        let (base, quote) = match side {
            Side::Buy => (&mut self.bought, &mut self.paid),
            Side::Sell => (&mut self.sold, &mut self.received),
        };
        *base += worth.base;
        *quote += worth.quote;
    }
}

/// What does not agree.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    count: u64,
    examples: Vec<String>,
}

impl Findings {
    /// Adds one; `what` describes it.
    pub fn add(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(what());
        }
    }

    /// Adds those of another.
    pub fn append(&mut self, other: Self) {
        self.count += other.count;
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES_MAX);
    }

    /// The number of entries.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first of them, in words.
    pub fn examples(&self) -> &[String] {
        &self.examples
    }
}

/// An account's part in a market.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Orders that were acknowledged.
    pub acknowledged: Acknowledged,
    /// Orders of which there was no answer, and that turned out to exist.
    pub surfaced: BTreeSet<u64>,
    /// What its orders must have traded.
    pub traded: Traded,
    /// Cancels that were acknowledged.
    pub canceled: u64,
    /// Cancels without an answer.
    pub cancels_unanswered: u64,
}

/// A fill, as the taker's answer has it.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// The price, in ticks.
    pub ticks: u64,
    /// The quantity, in lots.
    pub lots: u64,
    /// The taker's fee, in smallest units of what it receives.
    pub commission: i128,
}

/// The whole account.
#[derive(Debug)]
pub struct Record {
    ladder: Ladder,
    parts: Vec<[Part; MARKETS]>,
    /// By account and asset, what has been added to what it was given.
    changes: Vec<[i128; ASSETS]>,
    /// Names of orders without an answer, by account and market.
    unanswered: BTreeMap<(usize, usize), Vec<u64>>,
    unanswered_count: usize,
    /// Answers that contradict themselves or one another.
    pub contradictions: Findings,
    /// Number of trades.
    pub trades: u64,
}

impl Record {
    /// Of so many accounts, none of which has done anything.
    pub fn new(accounts: usize) -> Self {
        Self {
            ladder: Ladder::new(accounts),
            parts: (0..accounts).map(|_| Default::default()).collect(),
            changes: vec![[0; ASSETS]; accounts],
            unanswered: BTreeMap::new(),
            unanswered_count: 0,
            contradictions: Findings::default(),
            trades: 0,
        }
    }

    /// How many accounts there are.
    pub fn accounts(&self) -> usize {
        self.parts.len()
    }

    /// An account's part in a market.
    pub fn part(&self, account: usize, market: usize) -> &Part {
        &self.parts[account][market]
    }

    /// The same, to be changed.
    pub fn part_mut(&mut self, account: usize, market: usize) -> &mut Part {
        &mut self.parts[account][market]
    }

    /// What must have been added to what an account was given, by asset.
    pub fn changes(&self, account: usize) -> &[i128; ASSETS] {
        &self.changes[account]
    }

    /// An order was acknowledged.
    pub fn acknowledge(&mut self, account: usize, market: usize, order: u64, told: Told) {
        if !self.parts[account][market].acknowledged.push(order, told) {
            self.contradictions.add(|| {
                format!("account {account}, market {market}: order {order} was acknowledged after one with that number or a greater one")
            });
        }
    }

    /// The answer to an order had a trade. Returns whose order it was with.
    pub fn fill(&mut self, taker: usize, market: usize, side: Side, fill: Fill) -> usize {
        let maker = self.ladder.owner(fill.ticks);
        let worth = Worth::of(fill.ticks, fill.lots);
        let maker_receives = if side == Side::Buy { worth.quote } else { worth.base };
        self.settle(taker, market, side, worth, fill.commission);
        self.settle(maker, market, side.opposite(), worth, fee(MAKER_FEE, maker_receives));
        self.trades += 1;
        maker
    }

    /// One side of a trade.
    fn settle(&mut self, account: usize, market: usize, side: Side, worth: Worth, fee: i128) {
        self.parts[account][market].traded.add(side, worth);
        let changes = &mut self.changes[account];
        match side {
            Side::Buy => {
                changes[market] += worth.base - fee;
                changes[QUOTE] -= worth.quote;
            }
            Side::Sell => {
                changes[market] -= worth.base;
                changes[QUOTE] += worth.quote - fee;
            }
        }
    }

    /// There was no answer to the order of that name; `false` if too many of them are remembered already.
    #[must_use]
    pub fn unanswered(&mut self, account: usize, market: usize, name: u64) -> bool {
        if self.unanswered_count >= UNANSWERED_MAX {
            return false;
        }
        self.unanswered_count += 1;
        self.unanswered.entry((account, market)).or_default().push(name);
        true
    }

    /// The names of the orders without an answer, by account and market; they are asked for once.
    pub fn take_unanswered(&mut self) -> BTreeMap<(usize, usize), Vec<u64>> {
        std::mem::take(&mut self.unanswered)
    }

    /// How many orders were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.parts.iter().flatten().map(|part| part.acknowledged.count()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fill_is_put_down_to_both_sides_and_only_fees_are_lost() {
        let mut record = Record::new(4);
        let ladder = Ladder::new(4);
        let ticks = ladder.price(2, 1);
        let worth = Worth::of(ticks, 3);
        let commission = fee(super::super::market::TAKER_FEE, worth.base);
        assert_eq!(record.fill(0, 1, Side::Buy, Fill { ticks, lots: 3, commission }), 2);
        assert_eq!(record.changes(0), &[0, worth.base - commission, 0, 0, -worth.quote]);
        let maker_fee = fee(MAKER_FEE, worth.quote);
        assert_eq!(record.changes(2), &[0, -worth.base, 0, 0, worth.quote - maker_fee]);
        assert_eq!(record.part(0, 1).traded, Traded { bought: worth.base, paid: worth.quote, ..Traded::default() });
        assert_eq!(record.part(2, 1).traded, Traded { sold: worth.base, received: worth.quote, ..Traded::default() });
        assert_eq!((record.changes(1), record.trades), (&[0; ASSETS], 1));
    }

    #[test]
    fn a_number_told_twice_is_a_contradiction() {
        let mut record = Record::new(1);
        record.acknowledge(0, 0, 7, Told::Filled);
        record.acknowledge(0, 0, 7, Told::Filled);
        assert_eq!((record.contradictions.count(), record.acknowledged()), (1, 1));
    }
}
