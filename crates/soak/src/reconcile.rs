//! Compares the state of a venue with the record of the soak test. It does not know whether the state comes from the
//! API or from SQL: both give [`Shown`] orders by id, and balances.

use std::collections::BTreeMap;
use std::iter::Peekable;

use crossbook_types::{OrderStatus, Side};

use super::acknowledged::Told;
use super::market::{ASSETS, DECIMALS, MARKETS, Names, Worth, text};
use super::record::{Findings, Part, Record, Traded};

/// An order as the venue shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Id of the order.
    pub order: u64,
    /// Buy or sell.
    pub side: Side,
    /// How it stands.
    pub status: OrderStatus,
    /// What it has traded.
    pub executed: Worth,
}

/// The result of comparing one place with the record.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Orders that it shows.
    pub orders: u64,
    /// Acknowledged orders that it does not.
    pub lost: Findings,
    /// Whatever else does not agree.
    pub inconsistencies: Findings,
}

impl Outcome {
    /// Adds the result of another part.
    pub fn append(&mut self, other: Self) {
        self.orders += other.orders;
        self.lost.append(other.lost);
        self.inconsistencies.append(other.inconsistencies);
    }
}

/// The orders of one account in one market, as they are shown one by one.
pub struct Collation<'a> {
    place: &'static str,
    whose: (usize, usize),
    part: &'a Part,
    expected: Peekable<Box<dyn Iterator<Item = (u64, Told)> + 'a>>,
    last: u64,
    canceled: u64,
    traded: Traded,
    surfaced: usize,
    outcome: Outcome,
}

impl<'a> Collation<'a> {
    /// Nothing is shown yet. `place` is where it will be.
    pub fn new(place: &'static str, record: &'a Record, account: usize, market: usize) -> Self {
        let part = record.part(account, market);
        let expected: Box<dyn Iterator<Item = (u64, Told)>> = Box::new(part.acknowledged.iter());
        Self {
            place,
            whose: (account, market),
            part,
            expected: expected.peekable(),
            last: 0,
            canceled: 0,
            traded: Traded::default(),
            surfaced: 0,
            outcome: Outcome::default(),
        }
    }

    /// The next order, by number.
    pub fn show(&mut self, shown: &Shown) {
        let Shown { order, side, status, executed } = *shown;
        self.outcome.orders += 1;
        if order <= self.last {
            let last = self.last;
            self.differs(|| format!("order {order} is shown after order {last}: twice, or out of order"));
            return;
        }
        self.last = order;
        self.traded.add(side, executed);
        self.canceled += u64::from(status == OrderStatus::Canceled);
        while self.expected.peek().is_some_and(|&(expected, _)| expected < order) {
            self.miss();
        }
        match self.expected.next_if(|&(expected, _)| expected == order) {
            Some((_, told)) => {
                let agrees = match told {
                    // At the end nothing is open any more.
                    Told::Resting => matches!(status, OrderStatus::Filled | OrderStatus::Canceled),
                    Told::Filled => status == OrderStatus::Filled,
                    Told::Expired => status == OrderStatus::Expired,
                };
                if !agrees {
                    self.differs(|| {
                        format!("order {order} was acknowledged as {told:?} and is shown as {}", status.as_str())
                    });
                }
            }
            None if self.part.surfaced.contains(&order) => self.surfaced += 1,
            None => self.differs(|| format!("order {order} is shown, and was never acknowledged")),
        }
    }

    /// That was all.
    pub fn finish(mut self) -> Outcome {
        while self.expected.peek().is_some() {
            self.miss();
        }
        let Part { traded, canceled, cancels_unanswered, ref surfaced, .. } = *self.part;
        if self.surfaced < surfaced.len() {
            let missing = surfaced.len() - self.surfaced;
            self.differs(|| format!("{missing} orders that were found by their names are not shown"));
        }
        if self.traded != traded {
            let shown = self.traded;
            self.differs(|| format!("the orders shown have traded {shown:?}, by the answers {traded:?}"));
        }
        // A cancel without an answer may have been carried out.
        if !(canceled..=canceled + cancels_unanswered).contains(&self.canceled) {
            let shown = self.canceled;
            self.differs(|| {
                format!("{shown} orders are shown canceled; {canceled} cancels were acknowledged, {cancels_unanswered} had no answer")
            });
        }
        self.outcome
    }

    fn miss(&mut self) {
        if let Some((order, told)) = self.expected.next() {
            let (place, (account, market)) = (self.place, self.whose);
            self.outcome.lost.add(|| {
                format!("{place}: account {account}, market {market}: order {order}, acknowledged as {told:?}, does not exist")
            });
        }
    }

    fn differs(&mut self, what: impl FnOnce() -> String) {
        let (place, (account, market)) = (self.place, self.whose);
        self.outcome.inconsistencies.add(|| format!("{place}: account {account}, market {market}: {}", what()));
    }
}

/// What an account is shown to have of an asset, in smallest units.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Balance {
    /// What it can use.
    pub free: i128,
    /// What is held for orders.
    pub held: i128,
}

/// Holds what an account is shown to have, by the assets' names, to what it was given and what its fills come to. No
/// order is open any more, so nothing may be held.
pub fn balances(
    place: &str,
    record: &Record,
    account: usize,
    given: &[i128; ASSETS],
    names: &Names,
    shown: &BTreeMap<String, Balance>,
) -> Findings {
    let mut findings = Findings::default();
    for (asset, name) in names.assets.iter().enumerate() {
        let expected = Balance { free: given[asset] + record.changes(account)[asset], held: 0 };
        let found = shown.get(name).copied().unwrap_or_default();
        if found != expected {
            let [free, held, due] = [found.free, found.held, expected.free].map(|units| text(units, DECIMALS));
            findings.add(|| {
                format!("{place}: account {account} has {free} {name} and {held} held, instead of {due} and 0")
            });
        }
    }
    findings
}

/// Collations of all accounts in a market, for a place that shows the orders of all accounts.
pub struct MarketCollation<'a> {
    place: &'static str,
    market: usize,
    /// By the account's number at the venue.
    accounts: BTreeMap<u64, Collation<'a>>,
    strangers: Findings,
}

impl<'a> MarketCollation<'a> {
    /// Nothing is shown yet. `numbers` are those of the accounts at the venue.
    pub fn new(place: &'static str, record: &'a Record, market: usize, numbers: &[u64]) -> Self {
        debug_assert!(market < MARKETS && numbers.len() == record.accounts());
        let of = |(account, &number): (usize, &u64)| (number, Collation::new(place, record, account, market));
        Self { place, market, accounts: numbers.iter().enumerate().map(of).collect(), strangers: Findings::default() }
    }

    /// The next order, by number, and whose it is.
    pub fn show(&mut self, account: u64, shown: &Shown) {
        match self.accounts.get_mut(&account) {
            Some(collation) => collation.show(shown),
            None => {
                let (place, market) = (self.place, self.market);
                let order = shown.order;
                self.strangers.add(|| {
                    format!("{place}: market {market}: order {order} is account {account}'s, which is not part of the soak test")
                });
            }
        }
    }

    /// That was all.
    pub fn finish(self) -> Outcome {
        let mut all = Outcome { inconsistencies: self.strangers, ..Outcome::default() };
        self.accounts.into_values().for_each(|collation| all.append(collation.finish()));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::market::{Ladder, TAKER_FEE, fee};
    use super::super::record::Fill;
    use super::*;

    const NOTHING: Worth = Worth { base: 0, quote: 0 };

    /// Two accounts: the first sells 3 lots to the second, has another order cancelled, and a third one expire.
    fn traded() -> (Record, Vec<Vec<Shown>>) {
        let mut record = Record::new(2);
        let ticks = Ladder::new(2).price(0, 1);
        let worth = Worth::of(ticks, 3);
        record.acknowledge(0, 0, 1, Told::Resting);
        record.acknowledge(0, 0, 2, Told::Resting);
        record.acknowledge(1, 0, 3, Told::Filled);
        record.acknowledge(0, 0, 5, Told::Expired);
        record.fill(1, 0, Side::Buy, Fill { ticks, lots: 3, commission: fee(TAKER_FEE, worth.base) });
        record.part_mut(0, 0).canceled = 1;
        let shown = |order, side, status, executed| Shown { order, side, status, executed };
        let seller = vec![
            shown(1, Side::Sell, OrderStatus::Filled, worth),
            shown(2, Side::Sell, OrderStatus::Canceled, NOTHING),
            shown(5, Side::Buy, OrderStatus::Expired, NOTHING),
        ];
        (record, vec![seller, vec![shown(3, Side::Buy, OrderStatus::Filled, worth)]])
    }

    /// Lost and inconsistent, when the first account is shown these orders.
    fn collated(record: &Record, orders: &[Shown]) -> (u64, Vec<String>) {
        let mut collation = Collation::new("API", record, 0, 0);
        orders.iter().for_each(|order| collation.show(order));
        let outcome = collation.finish();
        assert_eq!(outcome.orders, orders.len() as u64);
        assert_eq!(outcome.inconsistencies.count(), outcome.inconsistencies.examples().len() as u64);
        (outcome.lost.count(), outcome.inconsistencies.examples().to_vec())
    }

    #[test]
    fn what_agrees_is_found_to_agree() {
        let (record, shown) = traded();
        assert_eq!(collated(&record, &shown[0]), (0, Vec::new()));
        let mut market = MarketCollation::new("SQL", &record, 0, &[1001, 1002]);
        for (account, order) in [(1001, shown[0][0]), (1001, shown[0][1]), (1002, shown[1][0]), (1001, shown[0][2])] {
            market.show(account, &order);
        }
        let outcome = market.finish();
        assert_eq!((outcome.orders, outcome.lost.count(), outcome.inconsistencies.count()), (4, 0, 0));
    }

    #[test]
    fn an_order_that_is_not_shown_is_lost_wherever_it_stood() {
        let (record, shown) = traded();
        for missing in 0..3 {
            let mut orders = shown[0].clone();
            orders.remove(missing);
            assert_eq!(collated(&record, &orders).0, 1, "{missing}");
        }
        assert_eq!(collated(&record, &[]).0, 3);
    }

    #[test]
    fn an_order_that_is_shown_twice_or_that_nobody_knows_is_an_inconsistency() {
        let (record, shown) = traded();
        let mut orders = shown[0].clone();
        orders.insert(1, orders[0]);
        let (lost, said) = collated(&record, &orders);
        assert!(lost == 0 && said.len() == 1 && said[0].contains("twice"), "{said:?}");

        let mut orders = shown[0].clone();
        orders.insert(2, Shown { order: 4, status: OrderStatus::Expired, ..orders[0] });
        orders[2].executed = NOTHING;
        let (lost, said) = collated(&record, &orders);
        assert!(lost == 0 && said.len() == 1 && said[0].contains("never acknowledged"), "{said:?}");
    }

    #[test]
    fn an_order_without_an_answer_is_neither_lost_nor_unknown() {
        let (mut record, shown) = traded();
        record.part_mut(0, 0).surfaced.insert(4);
        let mut orders = shown[0].clone();
        orders.insert(2, Shown { order: 4, status: OrderStatus::Expired, executed: NOTHING, ..orders[0] });
        assert_eq!(collated(&record, &orders), (0, Vec::new()));
        let (lost, said) = collated(&record, &shown[0]);
        assert!(lost == 0 && said.len() == 1 && said[0].contains("found by their names"), "{said:?}");
    }

    #[test]
    fn another_outcome_than_was_told_is_an_inconsistency() {
        let (mut record, shown) = traded();
        let mut orders = shown[0].clone();
        orders[2].status = OrderStatus::Canceled;
        let (_, said) = collated(&record, &orders);
        assert!(
            said.len() == 2 && said[0].contains("acknowledged as Expired") && said[1].contains("shown canceled"),
            "{said:?}"
        );

        let mut orders = shown[0].clone();
        orders[1].status = OrderStatus::New;
        let (_, said) = collated(&record, &orders);
        assert!(said.len() == 2 && said[0].contains("shown as NEW"), "still open: {said:?}");

        let mut orders = shown[0].clone();
        orders[0].executed.quote -= 1;
        let (_, said) = collated(&record, &orders);
        assert!(said.len() == 1 && said[0].contains("have traded"), "{said:?}");

        record.part_mut(0, 0).canceled = 0;
        assert_eq!(collated(&record, &shown[0]).1.len(), 1, "a cancel that was not acknowledged");
        record.part_mut(0, 0).cancels_unanswered = 1;
        assert_eq!(collated(&record, &shown[0]).1, Vec::<String>::new(), "it had no answer");
    }

    #[test]
    fn a_balance_is_right_to_the_last_unit_and_nothing_is_held() {
        let (record, _) = traded();
        let names = Names::of_run(1);
        let given = [10_000_000_000; ASSETS];
        let right: BTreeMap<String, Balance> = names
            .assets
            .iter()
            .enumerate()
            .map(|(asset, name)| (name.clone(), Balance { free: given[asset] + record.changes(0)[asset], held: 0 }))
            .collect();
        let off = |shown: &BTreeMap<String, Balance>| balances("API", &record, 0, &given, &names, shown).count();
        assert_eq!(off(&right), 0);
        for name in &names.assets {
            let mut wrong = right.clone();
            wrong.get_mut(name).unwrap().free += 1;
            assert_eq!(off(&wrong), 1);
            let mut wrong = right.clone();
            let balance = wrong.get_mut(name).unwrap();
            (balance.free, balance.held) = (balance.free - 1, 1);
            assert_eq!(off(&wrong), 1, "the sum is right, but something is held");
            let mut wrong = right.clone();
            wrong.remove(name);
            assert_eq!(off(&wrong), 1);
        }
    }
}
