//! Several partitions that write one history: together they write what one partition writes for the same commands, and
//! none changes the rows of another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::kit::running::Running;
use crate::kit::{Published, databases, empty, fill, fill_part, options};
use crate::venue::Venue;
use crossbook_engine::Partition;
use crossbook_engine::import::Past;
use crossbook_protocol::import::Piece;
use crossbook_protocol::{Body, Cause, Command, Event, Events, Routing};
use crossbook_store::digests::{TableContents, contents};
use crossbook_store::verify::{ExpectedState, StoredState, compare_entries};
use crossbook_store::{Activity, Database, Dialect, Error, Progress, Writer, give_up, watch};
use crossbook_types::{AccountId, PartitionId, RequestNumber, Sequence, SourceId, SymbolName, Timestamp};
use crossbook_views::{Limits, Views};
use sqlx::{Connection as _, Executor as _};

/// The tables that must be the same, row for row. In the others, rows are numbered by where in which log they come
/// from.
const SAME: [&str; 7] = ["assets", "markets", "accounts", "orders", "trades", "candles", "revenue"];

/// Partitions that deliver to each other at once.
struct Cluster {
    routing: Routing,
    partitions: Vec<Partition>,
    published: Vec<Vec<(Cause, Vec<Event>)>>,
}

impl Cluster {
    /// Three of them, of which the second and the third have a market, one by number and one by name.
    fn of(asked: &[(Timestamp, Body)]) -> Self {
        let by_number = BTreeMap::from([(crossbook_types::SymbolId(0), PartitionId(1))]);
        let by_name = BTreeMap::from([(SymbolName::new_checked("ETHUSDT").unwrap(), PartitionId(2))]);
        let routing = Routing::new_checked(3, by_number).unwrap().with_names(by_name).unwrap();
        let mut cluster = Self {
            partitions: routing.all().map(|id| Partition::new(id, routing.clone(), 3)).collect(),
            published: routing.all().map(|_| Vec::new()).collect(),
            routing,
        };
        for (number, (time, body)) in (1..).zip(asked) {
            cluster.apply(number, *time, body.clone());
        }
        cluster
    }

    /// The same with a venue that moved in, and has traded on since.
    fn moved(one: &Venue, then: &[(Timestamp, Body)]) -> Self {
        let mut views = Views::new(Limits::default());
        one.log.iter().for_each(|(cause, events)| views.apply_all(*cause, events));
        let inventory = crossbook_engine::import::gather(&[(&one.partition, &views as &dyn Past)]).unwrap();
        let mut cluster = Self::of(&[]);
        let all = crossbook_engine::import::pieces(&inventory, &cluster.routing, [3; 32]);
        for (to, pieces) in cluster.routing.all().zip(all) {
            for (number, piece) in (1..).zip(pieces) {
                cluster.command(to, one.now, piece.source(), RequestNumber(number), Body::Import(Box::new(piece)));
            }
        }
        for to in cluster.routing.all() {
            let open = Body::Import(Box::new(Piece::Open));
            cluster.command(to, one.now, Piece::Open.source(), RequestNumber(1), open);
        }
        for (number, (time, body)) in (1..).zip(then) {
            cluster.apply(number, *time, body.clone());
        }
        cluster
    }

    fn command(&mut self, to: PartitionId, time: Timestamp, source: SourceId, number: RequestNumber, body: Body) {
        let partition = &mut self.partitions[usize::from(to.0)];
        let sequence = partition.sequence().next();
        let mut events = Events::new();
        partition.apply(&Command::new(sequence, time, source, number, body), &mut events);
        let published = events.iter().map(|(cause, events)| (cause, events.to_vec()));
        self.published[usize::from(to.0)].extend(published);
    }

    fn apply(&mut self, number: u64, time: Timestamp, body: Body) {
        let mut queue =
            VecDeque::from([(self.routing.home(&body), SourceId::FIRST_GATEWAY, RequestNumber(number), body)]);
        while let Some((to, source, number, body)) = queue.pop_front() {
            self.command(to, time, source, number, body);
            for outgoing in self.partitions[usize::from(to.0)].drain_outgoing() {
                let body = Body::Peer(outgoing.message);
                queue.push_back((outgoing.to, SourceId::partition(to), outgoing.number, body));
            }
        }
    }

    fn published(&self, partition: PartitionId) -> &[(Cause, Vec<Event>)] {
        &self.published[usize::from(partition.0)]
    }

    async fn fill(&self, database: &Database) {
        for partition in self.routing.all() {
            fill_part(database, partition, self.published(partition), 90).await;
        }
    }

    async fn facts(&self, database: &Database, partition: PartitionId) -> StoredState {
        let mut facts = StoredState::read(database, partition, false).await.unwrap();
        facts.settle(&self.partitions[usize::from(partition.0)]);
        facts
    }

    /// What differs between the rows of a partition and the engine.
    async fn findings(&self, database: &Database, partition: PartitionId) -> Vec<String> {
        let facts = self.facts(database, partition).await;
        let mut views = Views::new(Limits::default());
        let mut expected_state = ExpectedState::default();
        for (cause, events) in self.published(partition) {
            views.apply_all(*cause, events);
            expected_state.follow(*cause, events, facts.position.complete_from);
        }
        expected_state.compare(&facts, &self.partitions[usize::from(partition.0)], &views)
    }

    async fn all_findings(&self, database: &Database) -> Vec<String> {
        let (mut findings, mut facts) = (Vec::new(), Vec::new());
        for partition in self.routing.all() {
            findings.extend(self.findings(database, partition).await);
            facts.push(StoredState::read(database, partition, false).await.unwrap());
        }
        findings.extend(compare_entries(&facts, &self.partitions.iter().collect::<Vec<_>>()));
        findings
    }
}

fn traded(seed: u64, commands: usize) -> (Venue, Cluster) {
    let mut one = Venue::open(seed);
    one.trade(commands, 400_000);
    let cluster = Cluster::of(&one.asked);
    (one, cluster)
}

fn same(contents: Vec<TableContents>) -> Vec<TableContents> {
    contents.into_iter().filter(|table| SAME.contains(&table.table)).collect()
}

fn counts(contents: &[TableContents]) -> BTreeMap<&'static str, u64> {
    contents.iter().filter(|table| table.table != "projection").map(|table| (table.table, table.rows)).collect()
}

#[tokio::test]
async fn three_partitions_write_what_one_writes() {
    let (one, three) = traded(21, 2_500);
    // The times of balances differ: what one partition holds and releases in one command is two changes of two.
    for (account, asset, balance) in one.partition.ledger().balances() {
        let home = &three.partitions[usize::from(three.routing.of_account(account).0)];
        assert_eq!(home.ledger().balance(account, asset), balance, "{account}");
    }
    let mut every = Vec::new();
    for (alone, together) in databases().into_iter().zip(databases()) {
        let database = together.database.clone().routed(three.routing.clone());
        fill(&alone.database, &one.log, 100).await;
        three.fill(&database).await;
        let (expected, found) = (contents(&alone.database).await.unwrap(), contents(&database).await.unwrap());
        assert_eq!(counts(&found), counts(&expected), "{:?}", together.dialect);
        assert_eq!(same(found.clone()), same(expected), "{:?}", together.dialect);
        assert_eq!(three.all_findings(&database).await, Vec::<String>::new(), "{:?}", together.dialect);

        let mut entries = BTreeMap::new();
        for partition in three.routing.all() {
            for (key, amount) in StoredState::read(&database, partition, false).await.unwrap().entries {
                *entries.entry(key).or_insert(0) += amount.0;
            }
        }
        let alone = StoredState::read(&alone.database, PartitionId(0), false).await.unwrap().entries;
        assert_eq!(entries, alone.into_iter().map(|(key, amount)| (key, amount.0)).collect());
        every.push(found);
    }
    assert_eq!(every[0], every[1], "both databases have the same");
    let homes: BTreeSet<_> = (0..crate::venue::ACCOUNTS)
        .map(|at| three.routing.of_account(AccountId(AccountId::FIRST_CLIENT.0 + at)))
        .collect();
    assert!(homes.len() > 1, "accounts are apart: {homes:?}");
}

#[tokio::test]
async fn the_tables_of_a_venue_that_moved_in_are_true_from_its_first_command() {
    let mut one = Venue::open(22);
    one.trade(1_200, 400_000);
    one.finish();
    let before = one.log.clone();
    let asked = one.asked.len();
    let mut old = Venue::open(22);
    old.trade(1_200, 400_000);
    old.finish();
    one.trade(800, 400_000);
    let three = Cluster::moved(&old, &one.asked[asked..]);
    let of = |log: &[(Cause, Vec<Event>)], which: fn(&Event) -> bool| {
        log.iter().flat_map(|(_, events)| events).filter(|event| which(event)).count() as u64
    };
    let trades = of(&one.log[before.len()..], |event| matches!(event, Event::Traded(_)));
    let placed = of(&one.log[before.len()..], |event| matches!(event, Event::OrderPlaced(_)));
    let open = of(&before, |event| matches!(event, Event::OrderPlaced(_)))
        - of(&before, |event| matches!(event, Event::OrderClosed(_)));
    for (alone, together) in databases().into_iter().zip(databases()) {
        let database = together.database.clone().routed(three.routing.clone());
        three.fill(&database).await;
        assert_eq!(three.all_findings(&database).await, Vec::<String>::new(), "{:?}", together.dialect);
        let found = counts(&contents(&database).await.unwrap());
        assert_eq!((found["trades"], found["orders"]), (trades, open + placed), "what has ended did not move");
        // Deposits did, and what everybody has now is what everybody would have had.
        fill(&alone.database, &one.log, 100).await;
        let expected = counts(&contents(&alone.database).await.unwrap());
        for table in ["assets", "markets", "accounts", "balances", "transfers"] {
            assert_eq!(found[table], expected[table], "{table}");
        }
        let stay = StoredState::read(&alone.database, crate::kit::PARTITION, false).await.unwrap();
        let mut balances = BTreeMap::new();
        for partition in three.routing.all() {
            balances.extend(StoredState::read(&database, partition, false).await.unwrap().balances);
        }
        assert_eq!(balances, stay.balances);
    }
    assert!(trades > 100 && open > 10, "{trades} {open}");
}

#[tokio::test]
async fn verification_of_a_partition_finds_what_was_changed_in_its_rows_and_in_no_others() {
    let (_, three) = traded(22, 800);
    let changes = [
        ("UPDATE balances SET free = free + 1 WHERE account_id = 1001 AND asset_id = 0", None, "balance"),
        ("DELETE FROM orders WHERE status = 'NEW' AND symbol_id = 1", Some(PartitionId(2)), "open order"),
        (
            "UPDATE trades SET quantity = quantity + 1 WHERE trade_id = 3 AND symbol_id = 0",
            Some(PartitionId(1)),
            "trades of",
        ),
        ("DELETE FROM ledger_entries WHERE partition_id = 1 AND account_id = 2", Some(PartitionId(1)), "instead of 0"),
        (
            "DELETE FROM candles WHERE candle_interval = '3d' AND symbol_id = 0",
            Some(PartitionId(1)),
            "trades in candles",
        ),
    ];
    for (change, owner, expected) in changes {
        let owner = owner.unwrap_or_else(|| three.routing.of_account(AccountId::FIRST_CLIENT));
        for empty in databases() {
            let database = empty.database.clone().routed(three.routing.clone());
            three.fill(&database).await;
            let mut connection = sqlx::AnyConnection::connect(&empty.address()).await.unwrap();
            connection.execute(change).await.unwrap();
            connection.close().await.unwrap();
            for partition in three.routing.all() {
                let found = three.findings(&database, partition).await;
                let is_found = found.iter().any(|finding| finding.contains(expected));
                assert_eq!(is_found, partition == owner, "{change}, partition {partition}: {found:?}");
                assert!(is_found || found.is_empty(), "{change}, partition {partition}: {found:?}");
            }
        }
    }
}

#[test]
fn recorders_of_one_process_write_at_the_same_time() {
    let (_, three) = traded(23, 3_000);
    let published: Vec<Published> = three.published.iter().cloned().map(Arc::new).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let plain = empty(Dialect::Sqlite, options());
    let expected = runtime.block_on(async {
        let plain = plain.database.clone().routed(three.routing.clone());
        three.fill(&plain).await;
        contents(&plain).await.unwrap()
    });
    for empty in databases() {
        let database = empty.database.clone().routed(three.routing.clone());
        let start = |partition: PartitionId| {
            (
                Running::part(&database, partition, &published[usize::from(partition.0)]),
                &published[usize::from(partition.0)],
            )
        };
        let running: Vec<_> = three.routing.all().map(start).collect();
        for (running, published) in &running {
            running.live.reach(published.last().unwrap().0.sequence);
        }
        for (running, published) in &running {
            running.wait_for("ends", |progress| progress.position().sequence == published.last().unwrap().0.sequence);
        }
        for (running, _) in running {
            assert_eq!(*running.seeks.lock().unwrap(), [0]);
            running.stop();
        }
        assert_eq!(runtime.block_on(contents(&database)).unwrap(), expected, "{:?}", empty.dialect);
        assert_eq!(runtime.block_on(three.all_findings(&database)), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_partition_that_is_given_up_costs_the_others_nothing() {
    let (_, three) = traded(24, 1_500);
    for empty in databases() {
        let database = empty.database.clone().routed(three.routing.clone());
        three.fill(&database).await;
        let before = contents(&database).await.unwrap();
        for partition in three.routing.all() {
            let others: Vec<_> = three.routing.all().filter(|&other| other != partition).collect();
            for anew in [false, true] {
                let mut writer = if anew {
                    Writer::open_anew(&database, partition).await.unwrap()
                } else {
                    give_up(&database, partition).await.unwrap();
                    let mut writer = Writer::open(&database, partition).await.unwrap();
                    writer.clear_leftovers().await.unwrap();
                    writer
                };
                assert_eq!(writer.position().await.unwrap().sequence, Sequence(0));
                writer.close().await;
                let left = three.facts(&database, partition).await;
                assert_eq!(left, StoredState::default(), "partition {partition} has nothing left, {:?}", empty.dialect);
                for &other in &others {
                    assert_eq!(three.findings(&database, other).await, Vec::<String>::new());
                }
                // What is left over would be in the way.
                fill_part(&database, partition, three.published(partition), 200).await;
                assert_eq!(contents(&database).await.unwrap(), before, "{:?}", empty.dialect);
            }
        }
    }
}

#[tokio::test]
async fn rows_of_an_unknown_market_are_not_taken_for_somebodys() {
    let (_, three) = traded(25, 300);
    for empty in databases() {
        let database = empty.database.clone().routed(three.routing.clone());
        // Partition 0 has not come so far yet.
        fill_part(&database, PartitionId(1), three.published(PartitionId(1)), 200).await;
        // A partition knows its markets by itself, and what of them is missing.
        assert_eq!(three.findings(&database, PartitionId(1)).await, Vec::<String>::new(), "{:?}", empty.dialect);
        assert!(!three.facts(&database, PartitionId(1)).await.trades.is_empty());
        let mut other = Writer::open(&database, PartitionId(2)).await.unwrap();
        assert!(matches!(other.clear_leftovers().await, Err(Error::UnknownMarket(0))));
        let mut registry = Writer::open(&database, PartitionId(0)).await.unwrap();
        registry.clear_leftovers().await.unwrap();
        registry.close().await;
        fill_part(&database, PartitionId(0), three.published(PartitionId(0)), 200).await;
        other.clear_leftovers().await.unwrap();
        other.close().await;
        fill_part(&database, PartitionId(2), three.published(PartitionId(2)), 200).await;
        assert_eq!(three.all_findings(&database).await, Vec::<String>::new(), "{:?}", empty.dialect);
    }
}

#[tokio::test]
async fn partitions_of_another_venue_are_refused() {
    let (_, three) = traded(26, 100);
    for empty in databases() {
        let database = empty.database.clone().routed(three.routing.clone()).for_log(1);
        fill_part(&database, PartitionId(0), three.published(PartitionId(0)), 200).await;
        let other = database.clone().for_log(2);
        let mut writer = Writer::open(&other, PartitionId(1)).await.unwrap();
        assert!(matches!(writer.position().await, Err(Error::Foreign { .. })), "{:?}", empty.dialect);
        writer.close().await;
        assert!(matches!(Writer::open_anew(&other, PartitionId(1)).await, Err(Error::Foreign { .. })));
        fill_part(&database, PartitionId(1), three.published(PartitionId(1)), 200).await;
    }
}

#[tokio::test]
async fn a_server_lets_one_writer_of_each_partition_in_at_a_time() {
    let empty = empty(Dialect::MySql, options());
    let first = Writer::open(&empty.database, PartitionId(0)).await.unwrap();
    let second = Writer::open(&empty.database, PartitionId(1)).await.unwrap();
    for partition in [0, 1].map(PartitionId) {
        assert!(matches!(Writer::open(&empty.database, partition).await, Err(Error::Claimed)));
    }
    first.close().await;
    Writer::open(&empty.database, PartitionId(0)).await.unwrap().close().await;
    second.close().await;
}

#[tokio::test]
async fn a_process_that_only_reads_is_told_how_far_the_tables_are() {
    let (_, three) = traded(27, 300);
    for empty in databases() {
        let database = empty.database.clone().routed(three.routing.clone());
        let progress: Vec<Arc<Progress>> = three.routing.all().map(|_| Arc::default()).collect();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let watching = tokio::spawn(watch(database.clone(), progress.clone(), Duration::from_millis(5), stopped));
        assert!(!progress[1].covers(Timestamp(0), None), "nothing is known before the tables are there");
        fill_part(&database, PartitionId(1), three.published(PartitionId(1)), 50).await;
        let last = three.published(PartitionId(1)).last().unwrap().0;
        tokio::time::timeout(Duration::from_secs(30), progress[1].covering(last.time, Some(last))).await.unwrap();
        assert_eq!(progress[1].position().sequence, last.sequence);
        assert_eq!(progress[0].position().sequence, Sequence(0));
        assert_eq!(progress[0].status().activity, Activity::Following);
        stop.send(true).unwrap();
        watching.await.unwrap();
        assert_eq!(progress[0].status().activity, Activity::Stopped);
    }
}
