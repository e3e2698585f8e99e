//! Published events lead to the same tables as the log, from their beginning, from the middle, and from a snapshot.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbook_node::recovery;
use crossbook_node::snapshot::Folder;
use crossbook_store::digests::{TableContents, contents};
use crossbook_store::{Address, Database, HistoryWriter, Options, Progress, Writer};
use crossbook_types::Timestamp;

use super::*;
use crate::history::PARTITION;
use venue::Venue;

#[path = "../../../views/tests/views/venue/mod.rs"]
#[allow(dead_code, reason = "made for the tests of the views")]
mod venue;

/// What was published, in memory.
#[derive(Clone, Default)]
struct CutSource(Arc<Mutex<Vec<Entry>>>);

impl CutSource {
    fn of(entries: &[Entry]) -> Self {
        Self(Arc::new(Mutex::new(entries.to_vec())))
    }
}

impl PublishedEvents for CutSource {
    fn read(&mut self, after: Sequence, max: usize) -> Result<Option<Vec<Entry>>, SourceError> {
        let kept = self.0.lock().unwrap();
        if kept.first().is_some_and(|(first, _)| first.sequence > after.next()) {
            return Ok(None);
        }
        Ok(Some(kept.iter().filter(|(cause, _)| cause.sequence > after).take(max).cloned().collect()))
    }

    fn noted(&mut self) -> Result<Sequence, SourceError> {
        Ok(Sequence(100))
    }
}

fn traded(commands: usize) -> Venue {
    let mut venue = Venue::open(31);
    venue.trade(commands, 400_000);
    venue
}

fn source(published: &[Entry], snapshots: &Path) -> PublishedSource<CutSource, Folder> {
    let folder = Folder::open(snapshots).unwrap();
    PublishedSource::new(Which::single(1), CutSource::of(published), folder, Live::new(Sequence(0)))
}

/// Snapshots of a venue that has gone so far, with views that have forgotten nothing.
fn snapshots(folder: &Path, at: &[usize]) {
    let mut folder = Folder::open(folder).unwrap();
    for &commands in at {
        let venue = traded(commands);
        let mut views = Views::new(Limits::default());
        for (cause, events) in &venue.log {
            views.apply_all(*cause, events);
        }
        recovery::save(&mut folder, venue.partition.state(), views.state()).unwrap();
    }
}

fn database(folder: &Path) -> Database {
    let address = Address::new(&format!("sqlite://{}", folder.join("history.sqlite").display()));
    Database::new(&Options { database: address, batch_delay_ms: 5, ..Options::default() }, folder).unwrap().unwrap()
}

/// Writes all that a source has.
async fn write(source: &mut PublishedSource<CutSource, Folder>, database: &Database) -> Result<Position, SourceError> {
    let mut writer = Writer::open(database, PARTITION).await?;
    let mut projection = source.seek(writer.position().await?, &|| false)?;
    loop {
        source.pull(&mut projection, Sequence(0), 700)?;
        if projection.is_empty() {
            break;
        }
        writer.write(&projection.take()).await?;
    }
    let position = writer.position().await?;
    writer.close().await;
    Ok(position)
}

/// The tables that come of all events, without any source.
async fn expected(venue: &Venue) -> Vec<TableContents> {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    let mut writer = Writer::open(&database, PARTITION).await.unwrap();
    let mut projection = Projection::resume(PARTITION, Views::new(Projection::limits()), Sequence(0));
    for (cause, events) in &venue.log {
        projection.follow(*cause, events);
    }
    writer.write(&projection.take()).await.unwrap();
    writer.close().await;
    contents(&database).await.unwrap()
}

#[tokio::test]
async fn tables_are_filled_from_the_beginning_and_gone_on_with_from_a_snapshot() {
    let venue = traded(2_000);
    let (all, end) = (venue.log.as_slice(), venue.partition.sequence());
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    let none = tempfile::tempdir().unwrap();
    let middle = write(&mut source(&all[..1_300], none.path()), &database).await.unwrap();
    assert_eq!(middle.sequence, Sequence(1_300));

    let trimmed = write(&mut source(&all[1_000..], none.path()), &database).await.unwrap_err();
    assert!(trimmed.to_string().contains("after command 0 have been trimmed"), "{trimmed}");
    // Snapshots before the tables' place, and one after it, of which there is no use.
    let some = tempfile::tempdir().unwrap();
    snapshots(some.path(), &[1_100, 1_900]);
    assert_eq!(write(&mut source(&all[1_000..], some.path()), &database).await.unwrap().sequence, end);
    assert_eq!(contents(&database).await.unwrap(), expected(&venue).await);
    // Nothing more; from the snapshots or from the first event.
    for published in [&all[1_500..], all] {
        assert_eq!(write(&mut source(published, some.path()), &database).await.unwrap().sequence, end);
    }
}

#[tokio::test]
async fn where_the_beginning_is_gone_empty_tables_begin_with_the_oldest_snapshot_that_leads_on() {
    let venue = traded(2_000);
    let all = venue.log.as_slice();
    let some = tempfile::tempdir().unwrap();
    snapshots(some.path(), &[1_100, 1_700]);
    let list = Folder::open(some.path()).unwrap().list().unwrap();
    let [second, first] = list[..] else { panic!("{list:?}") };
    for (kept_from, begins) in [(first.0, first), (first.0 - 20, first), (first.0 + 1, second)] {
        let folder = tempfile::tempdir().unwrap();
        let database = database(folder.path());
        let published = &all[usize::try_from(kept_from).unwrap()..];
        let position = write(&mut source(published, some.path()), &database).await.unwrap();
        assert_eq!((position.sequence, position.complete_from), (venue.partition.sequence(), begins));
    }
    let mut source = source(&all[1_950..], some.path());
    assert!(
        source
            .seek(Position::default(), &|| false)
            .unwrap_err()
            .to_string()
            .contains("no valid snapshot replaces them")
    );
}

/// Makes a snapshot one that is listed and cannot be read.
fn make_unreadable(folder: &Path, sequence: Sequence) {
    let path = folder.join(snapshot::name(sequence));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(path).unwrap();
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_is_passed_over_where_another_leads_on() {
    let venue = traded(2_000);
    let (all, end) = (venue.log.as_slice(), venue.partition.sequence());
    let some = tempfile::tempdir().unwrap();
    snapshots(some.path(), &[1_100, 1_700]);
    let list = Folder::open(some.path()).unwrap().list().unwrap();
    let [second, first] = list[..] else { panic!("{list:?}") };
    let told_after = |sequence: Sequence| &all[usize::try_from(sequence.0).unwrap()..];
    // Empty tables begin with the oldest that can be read.
    make_unreadable(some.path(), first);
    let (folder, behind) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let position = write(&mut source(told_after(first), some.path()), &database(folder.path())).await.unwrap();
    assert_eq!((position.sequence, position.complete_from), (end, second));
    // Tables in between have nothing to start from but the one that cannot be read, and say so.
    let none = tempfile::tempdir().unwrap();
    let middle = Sequence(first.0 + 50);
    write(&mut source(&all[..usize::try_from(middle.0).unwrap()], none.path()), &database(behind.path()))
        .await
        .unwrap();
    let refused = write(&mut source(told_after(first), some.path()), &database(behind.path())).await.unwrap_err();
    assert!(refused.to_string().contains("cannot read"), "{refused}");
    // With all events they need none.
    assert_eq!(write(&mut source(all, some.path()), &database(behind.path())).await.unwrap().sequence, end);
}

#[test]
fn tables_that_do_not_fit_are_reported() {
    let venue = traded(300);
    let all = venue.log.as_slice();
    let none = tempfile::tempdir().unwrap();
    let at = |sequence: usize, time: Timestamp| Position {
        sequence: Sequence(sequence as u64),
        time,
        complete_from: Sequence(0),
    };
    let seek = |published: &[Entry], position| {
        source(published, none.path()).seek(position, &|| false).map(drop).unwrap_err().to_string()
    };
    let right = all[199].0.time;
    assert!(source(all, none.path()).seek(at(200, right), &|| false).is_ok());
    assert!(seek(all, at(200, Timestamp(right.0 + 1))).contains("has diverged"));
    assert!(seek(&all[..150], at(200, right)).contains("stream ends at 150"));
    let gap = [&all[..100], &all[101..]].concat();
    assert!(seek(&gap, at(200, right)).contains("command 102 right after 100"));
    let mut stopping = source(all, none.path());
    assert!(stopping.seek(at(200, right), &|| true).unwrap_err().to_string().contains("the venue stops"));

    let some = tempfile::tempdir().unwrap();
    snapshots(some.path(), &[100]);
    let other = Which { partition: PartitionId(1), ..Which::single(1) };
    let folder = Folder::open(some.path()).unwrap();
    let mut other = PublishedSource::new(other, CutSource::of(all), folder, Live::default());
    assert!(other.seek(at(200, right), &|| false).unwrap_err().to_string().contains("of another partition"));
}

/// The lag counts from the first command after the note, and nothing else is taken from that.
#[test]
fn without_its_database_a_recorder_tells_what_is_not_known_to_be_written() {
    let venue = traded(300);
    let none = tempfile::tempdir().unwrap();
    let options = Options {
        database: Address::new("mysql://nobody@127.0.0.1:1/nothing"),
        retry_delay_max_ms: 20,
        ..Options::default()
    };
    let database = Database::new(&options, none.path()).unwrap().unwrap();
    let (live, progress) = (Live::default(), Arc::new(Progress::default()));
    let folder = Folder::open(none.path()).unwrap();
    let source = PublishedSource::new(Which::single(1), CutSource::of(&venue.log), folder, live.clone());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let recorder = HistoryWriter::new(database, PARTITION, source, live, stopped, Arc::clone(&progress));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let thread = std::thread::spawn(move || runtime().block_on(recorder.run()));
    let (first, last) = (venue.log[100].0, venue.log.last().unwrap().0);
    assert_eq!(first.sequence, Sequence(101));
    let deadline = Instant::now() + Duration::from_secs(30);
    let expected = (last.sequence.0 - 100, last.time.0 - first.time.0);
    while progress.lag(last).0 != expected.0 || progress.lag(last).1 < expected.1 {
        assert!(Instant::now() < deadline, "{:?} {:?}", progress.lag(last), progress.status());
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(progress.status().position, None);
    stop.send(true).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_recorder_follows_what_is_told() {
    let venue = traded(1_500);
    let (folder, none) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let database = database(folder.path());
    let (live, kept, progress) = (Live::default(), CutSource::default(), Arc::new(Progress::default()));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let source = PublishedSource::new(Which::single(1), kept.clone(), Folder::open(none.path()).unwrap(), live.clone());
    let recorder =
        HistoryWriter::new(database.clone(), PARTITION, source, live.clone(), stopped, Arc::clone(&progress));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let thread = std::thread::spawn(move || runtime().block_on(recorder.run()));
    for some in venue.log.chunks(400) {
        kept.0.lock().unwrap().extend_from_slice(some);
        let last = some.last().unwrap().0.sequence;
        let deadline = Instant::now() + Duration::from_secs(30);
        while progress.position().sequence != last {
            assert!(Instant::now() < deadline, "{:?}", progress.status());
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(live.position(), last);
    }
    stop.send(true).unwrap();
    thread.join().unwrap();
    runtime().block_on(async { assert_eq!(contents(&database).await.unwrap(), expected(&venue).await) });
}
