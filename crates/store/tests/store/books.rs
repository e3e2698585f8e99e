//! The books as operators ask for them: postings to an account, and what was collected by day.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbook_protocol::Event;
use crossbook_protocol::volume::day_of;
use crossbook_store::{History, Progress};
use crossbook_types::AccountId;
use crossbook_views::history::Revenue;

use crate::kit::{databases, fill};
use crate::venue::Venue;

fn traded(seed: u64) -> Venue {
    let mut venue = Venue::open(seed);
    // Some days pass.
    venue.trade(3_000, 150_000_000);
    venue
}

#[tokio::test]
async fn the_postings_of_an_account_are_found_page_by_page_and_sum_to_what_it_has() {
    let venue = traded(41);
    for empty in databases() {
        fill(&empty.database, &venue.log, 500).await;
        let history = History::new(&empty.database, Arc::new(Progress::default()));
        let mut sums = BTreeMap::new();
        for account in venue.partition.ledger().balances().map(|(account, _, _)| account) {
            sums.entry(account).or_insert_with(BTreeMap::new);
        }
        assert!(sums.len() > 3, "{} accounts", sums.len());
        for (&account, sums) in &mut sums {
            let (mut before, mut all) = (None, Vec::new());
            loop {
                let page = history.ledger_entries(account, before, 7).await.unwrap();
                before = page.last().map(|last| last.place);
                let is_last = page.len() < 7;
                all.extend(page);
                if is_last {
                    break;
                }
            }
            assert!(all.is_sorted_by(|one, next| one.place > next.place), "the newest first, each once");
            assert_eq!(history.ledger_entries(account, None, all.len() + 1).await.unwrap(), all, "{:?}", empty.dialect);
            for entry in &all {
                *sums.entry(entry.asset).or_insert(0) += entry.amount.0;
                assert_eq!(entry.trade.is_some(), ["TRADE", "FEE"].contains(&entry.kind.as_str()), "{entry:?}");
                assert_eq!(entry.transfer.is_some(), entry.kind == "TRANSFER", "{entry:?}");
            }
        }
        for (account, asset, balance) in venue.partition.ledger().balances() {
            let sum = sums[&account].get(&asset).copied().unwrap_or_default();
            assert_eq!(sum, balance.free.plus(balance.held).0, "{account} {asset:?} {:?}", empty.dialect);
        }
        assert_eq!(history.ledger_entries(AccountId(999_999), None, 5).await.unwrap(), []);
    }
}

#[tokio::test]
async fn what_was_collected_on_a_day_is_what_its_trades_paid() {
    let venue = traded(42);
    let mut paid = BTreeMap::new();
    for (cause, events) in &venue.log {
        for event in events {
            let Event::Traded(trade) = event else { continue };
            let markets = venue.partition.registry().markets();
            let market = &markets[trade.symbol.0 as usize];
            let sides = [(trade.taker, trade.taker_side, true), (trade.maker, trade.taker_side.opposite(), false)];
            for (party, side, taker) in sides {
                let asset = trade.other_fee_asset(taker).unwrap_or_else(|| market.receives(side));
                if !party.fee.is_zero() {
                    *paid.entry((day_of(cause.time), trade.symbol, asset)).or_insert(0) += party.fee.0;
                }
            }
        }
    }
    let days: Vec<u32> = paid.keys().map(|&(day, ..)| day).collect();
    let (first, last) = (days[0], days[days.len() - 1]);
    assert!(last > first + 1, "some days");
    for empty in databases() {
        // However it was cut into transactions.
        fill(&empty.database, &venue.log, 37).await;
        let history = History::new(&empty.database, Arc::new(Progress::default()));
        let found = history.revenue((first, last), usize::MAX >> 1).await.unwrap();
        let found: BTreeMap<_, _> =
            found.iter().map(|&Revenue { day, symbol, asset, fees }| ((day, symbol, asset), fees.0)).collect();
        assert_eq!(found, paid, "{:?}", empty.dialect);
        let some = history.revenue((first + 1, last - 1), usize::MAX >> 1).await.unwrap();
        let due = paid.keys().filter(|&&(day, ..)| day > first && day < last).count();
        assert_eq!(some.len(), due);
        assert_eq!(history.revenue((first, last), 2).await.unwrap().len(), 2);
    }
}
