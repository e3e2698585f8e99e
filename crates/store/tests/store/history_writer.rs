//! The loop that writes, with a database that is killed, absent or emptied: nothing is lost, nothing is written twice.

use std::sync::Arc;

use crate::kit::running::Running;
use crate::kit::{PARTITION, Published, databases, empty, fill, options};
use crate::venue::Venue;
use crossbook_servers::mysql::MySql;
use crossbook_store::digests::contents;
use crossbook_store::{Activity, Address, Database, Dialect, Options, give_up};

fn traded(seed: u64, commands: usize) -> Published {
    let mut venue = Venue::open(seed);
    venue.trade(commands, 400_000);
    Arc::new(venue.log)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// What the tables should have in the end.
fn expected(published: &Published) -> Vec<crossbook_store::digests::TableContents> {
    let plain = empty(Dialect::Sqlite, options());
    runtime().block_on(async {
        fill(&plain.database, published, 1_000).await;
        contents(&plain.database).await.unwrap()
    })
}

#[test]
fn it_follows_the_venue_and_is_complete_when_it_stops() {
    let published = traded(11, 2_000);
    for empty in databases() {
        let running = Running::start(&empty.database, &published);
        for (cause, _) in published.iter().step_by(97) {
            running.live.reach(cause.sequence);
            running.wait_for("follows", |progress| progress.position().sequence == cause.sequence);
        }
        running.live.reach(published.last().unwrap().0.sequence);
        running.stop();
        assert_eq!(runtime().block_on(contents(&empty.database)).unwrap(), expected(&published), "{:?}", empty.dialect);
    }
}

#[test]
fn a_server_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let published = traded(12, 6_000);
    let folder = tempfile::tempdir().unwrap();
    let mut server = MySql::start(folder.path()).expect("the suite runs on MariaDB too");
    let address = Address::new(&server.create("killed").unwrap());
    // Small transactions, so that each kill finds one under way.
    let options = Options { database: address, transaction_rows_max: 300, ..options() };
    let database = Database::new(&options, folder.path()).unwrap().unwrap();
    let running = Running::start(&database, &published);
    let end = published.last().unwrap().0;
    running.live.reach(end.sequence);
    let mut position = 0;
    for kill in 1..=5 {
        // Each time it has come some way further, and not yet to the end.
        running.wait_for("goes on", |progress| progress.position().sequence.0 > position + 300);
        position = running.progress.position().sequence.0;
        server.kill();
        running.wait_for("notices", |progress| matches!(progress.status().activity, Activity::Failing(_)));
        assert!(running.progress.position().sequence < end.sequence, "kill {kill} came too late to show anything");
        server.restart().unwrap();
    }
    running.wait_for("ends", |progress| progress.position().sequence == end.sequence);
    assert_eq!(*running.seeks.lock().unwrap(), [0], "what was folded is kept over a lost connection");
    running.stop();
    assert_eq!(runtime().block_on(contents(&database)).unwrap(), expected(&published));
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for() {
    let published = traded(13, 300);
    let folder = tempfile::tempdir().unwrap();
    let mut server = MySql::start(folder.path()).expect("the suite runs on MariaDB too");
    let address = Address::new(&server.create("late").unwrap());
    server.stop();
    let database = Database::new(&Options { database: address, ..options() }, folder.path()).unwrap().unwrap();
    let running = Running::start(&database, &published);
    running.live.reach(published.last().unwrap().0.sequence);
    running.wait_for("notices", |progress| matches!(progress.status().activity, Activity::Failing(_)));
    server.restart().unwrap();
    running.wait_for("follows", |progress| progress.position().sequence == published.last().unwrap().0.sequence);
    running.stop();
}

#[test]
fn emptied_tables_are_filled_again() {
    let published = traded(14, 1_000);
    let empty = empty(Dialect::Sqlite, options());
    let running = Running::start(&empty.database, &published);
    running.live.reach(published[499].0.sequence);
    running.wait_for("follows", |progress| progress.position().sequence == published[499].0.sequence);
    runtime().block_on(give_up(&empty.database, PARTITION)).unwrap();
    // The venue is at rest, and notices all the same.
    running.wait_for("notices", |_| running.seeks.lock().unwrap().len() == 2);
    running.wait_for("fills", |progress| progress.position().sequence == published[499].0.sequence);
    running.live.reach(published.last().unwrap().0.sequence);
    running.wait_for("fills", |progress| progress.position().sequence == published.last().unwrap().0.sequence);
    assert_eq!(*running.seeks.lock().unwrap(), [0, 0]);
    running.stop();
    assert_eq!(runtime().block_on(contents(&empty.database)).unwrap(), expected(&published));
}
