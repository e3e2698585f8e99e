//! `crossbook bench recovery`: how long a restart takes, and the effect of snapshots on trading.
//!
//! The log is one that trading would have left: the standard workload as commands, written as fast as possible. It is
//! replayed as a start does it, through partition and views, with a snapshot and without. The second part ([`stall`])
//! starts a venue with many resting orders and sends orders at a steady rate, alternately with snapshots and without.

mod stall;

use std::path::Path;
use std::time::Instant;

use crossbook_log::{FileReader, Files, Log as _, Record, Until, files};
use crossbook_node::follower_copy::FollowerCopy;
use crossbook_node::recovery::{self, Which};
use crossbook_node::snapshot::Folder;
use crossbook_oracle::feed::Feed;
use crossbook_oracle::workload::{GroundTruth, Workload, mix_a};
use crossbook_protocol::command::Body;
use crossbook_report::{Report, Section, Table, Verdict, write_json};
use crossbook_types::{RequestNumber, Sequence, SourceId, Timestamp};
use crossbook_venue::config::{Config, SnapshotOptions};
use crossbook_venue::data_folder::{log_folder, snapshot_folder};
use crossbook_venue::restore::{Accepted, restore};
use crossbook_views::Views;
use serde::Serialize;

use super::Error;
use super::progress::ProgressDisplay;
use crate::options::Recovery;

/// What a replay must do at least, in commands a second.
const REPLAY_PER_SECOND_MIN: f64 = 1e6;
/// The longest by which snapshots may hold up one order of a thousand, in milliseconds.
const STALL_MS_MAX: f64 = 5.0;
/// The first command is of 22 November 2026, and the others follow as they would at 10,000 a second.
const START_MICROS: u64 = 1_795_305_600_000_000;
const STEP_MICROS: u64 = 100;

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    commands: u64,
    log_bytes: u64,
    /// From the log alone, the partition and nothing else.
    partition: Replayed,
    /// From the log alone, as the venue does it.
    whole: Replayed,
    /// From a snapshot when the next one was due, as the venue does it.
    from_old_snapshot: Replayed,
    /// From a snapshot of the end, which a clean stop leaves.
    from_last_snapshot: Replayed,
    snapshot_bytes: u64,
    stall: Option<stall::Stalled>,
}

/// One way back.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Replayed {
    seconds: f64,
    commands: u64,
    commands_per_second: f64,
}

impl Replayed {
    fn new(started: Instant, commands: u64) -> Self {
        let seconds = started.elapsed().as_secs_f64();
        Self { seconds, commands, commands_per_second: commands as f64 / seconds }
    }
}

/// Measures what the command line says.
///
/// # Errors
/// See [`Error`].
pub fn run(options: &Recovery, runtime: &tokio::runtime::Runtime) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let summary =
        "How long a venue takes to be back where it stood, and what snapshots cost those who trade meanwhile.";
    let mut report = Report::begin("Recovery", summary, Some(folder.path()));
    let mut measured = replays(&folder.path().join("replay"), options.commands)?;
    if options.resting > 0 {
        measured.stall = Some(stall::measure(&folder.path().join("stall"), options, runtime)?);
    }
    show(&measured, &mut report);
    println!("{}", report.text());
    if let Some(path) = &options.output.report {
        report.write(path)?;
    }
    options.output.json.as_deref().map_or(Ok(()), |path| Ok(write_json(path, &measured)?))
}

fn show(measured: &Measured, report: &mut Report) {
    let mut table = Table::new(["from", "seconds", "commands replayed", "commands/s"]);
    for (name, replayed) in [
        ("the log, by the partition alone", measured.partition),
        ("the log, by the whole venue", measured.whole),
        ("the last snapshot, when the next was due", measured.from_old_snapshot),
        ("the snapshot of a clean stop", measured.from_last_snapshot),
    ] {
        let rate = if replayed.commands == 0 { String::new() } else { format!("{:.0}", replayed.commands_per_second) };
        table.row([name.to_owned(), format!("{:.2}", replayed.seconds), replayed.commands.to_string(), rate]);
    }
    let (log, snapshot) = (measured.log_bytes as f64 / 1e6, measured.snapshot_bytes as f64 / 1e6);
    let mut verdicts = vec![Verdict::new(
        "replay by the whole venue",
        "1,000,000 commands/s",
        format!("{:.0} commands/s", measured.whole.commands_per_second),
        measured.whole.commands_per_second >= REPLAY_PER_SECOND_MIN,
    )];
    let text = format!("{} commands, a log of {log:.0} MB, a snapshot of {snapshot:.0} MB.", measured.commands);
    report.push(Section::new("Back where it stood").text(text).table(table));
    if let Some(stalled) = &measured.stall {
        report.push(stalled.section());
        verdicts.push(Verdict::new(
            "what snapshots add to p99.9 of an order",
            format!("at most {STALL_MS_MAX:.0} ms"),
            format!("{:.2} ms", stalled.added_ms),
            stalled.added_ms <= STALL_MS_MAX,
        ));
    }
    report.push(Section::new("Verdict").verdicts(verdicts));
}

fn replays(data: &Path, commands: u64) -> Result<Measured, Error> {
    let warmup = usize::try_from(commands / 10).unwrap_or(usize::MAX).min(GroundTruth::WARMUP_A);
    let workload = mix_a(GroundTruth::SEED_A, warmup, usize::try_from(commands).unwrap_or(usize::MAX));
    let end = write(data, &workload, commands)?;
    drop(workload);
    let config = Config { data: data.to_owned(), ..Config::default() };
    let folder = || Folder::open(&snapshot_folder(data));
    let read = |from| FileReader::open(&log_folder(data), from);

    let mut display = ProgressDisplay::begin("replaying, partition alone".to_owned(), end.0);
    let started = Instant::now();
    recovery::recover(&Which::single(0), &folder()?, read, Until::Durable(end), (), |progress| {
        display.at(progress.at.0)
    })?;
    let partition = Replayed::new(started, end.0);
    display.end();

    let replayed = |commands: u64| -> Result<Replayed, Error> {
        let started = Instant::now();
        let restored = restore(&config, Accepted::default(), &mut (), |_| ())?;
        let replayed = Replayed::new(started, commands);
        drop(restored); // Taking it apart is not part of a start.
        Ok(replayed)
    };
    let whole = replayed(end.0)?;
    let snapshot = |at: Sequence| -> Result<(), Error> {
        let (mut folder, empty) = (folder()?, Views::new(config.views.clone()));
        Ok(FollowerCopy::begin(&Which::single(0), &folder, read, at, empty, || ())?.save(&mut folder, || ())?)
    };
    let behind = SnapshotOptions::default().interval_commands.min(end.0 / 2);
    snapshot(Sequence(end.0 - behind))?;
    let from_old_snapshot = replayed(behind)?;
    snapshot(end)?;
    let from_last_snapshot = replayed(0)?;
    Ok(Measured {
        commands: end.0,
        log_bytes: size(&log_folder(data))?,
        partition,
        whole,
        from_old_snapshot,
        from_last_snapshot,
        snapshot_bytes: size(&snapshot_folder(data))? / 2,
        stall: None,
    })
}

/// Writes the log of a venue that was asked a workload, `commands` records at most, and tells where it ends.
fn write(data: &Path, workload: &Workload, commands: u64) -> Result<Sequence, Error> {
    let (mut feed, mut bodies) = (Feed::new(workload), std::collections::VecDeque::from(Feed::opening()));
    let (mut rest, mut made) = (workload.commands.iter(), Vec::new());
    let fed = std::iter::from_fn(|| {
        while bodies.is_empty() {
            feed.translate(rest.next()?, &mut made);
            bodies.extend(made.drain(..));
        }
        bodies.pop_front()
    });
    write_log(data, fed.take(usize::try_from(commands).unwrap_or(usize::MAX)), commands)
}

/// Writes a venue's log of these commands, and tells where it ends; `count` is about how many they are.
pub(super) fn write_log(data: &Path, commands: impl Iterator<Item = Body>, count: u64) -> Result<Sequence, Error> {
    let (mut log, _) = Files::open(&log_folder(data), files::Options::default())?;
    let mut display = ProgressDisplay::begin("writing the log".to_owned(), count);
    let mut bytes = Vec::new();
    for body in commands {
        append(&mut log, &body, &mut bytes)?;
        display.at(log.tail().0);
    }
    let end = log.sync()?;
    display.end();
    Ok(end)
}

fn append(log: &mut Files, body: &Body, bytes: &mut Vec<u8>) -> Result<(), Error> {
    let sequence = log.tail().next();
    bytes.clear();
    crossbook_protocol::wire::encode_command(SourceId::FIRST_GATEWAY, RequestNumber(sequence.0), None, body, bytes);
    let record = Record { sequence, time: Timestamp(START_MICROS + sequence.0 * STEP_MICROS), payload: bytes };
    match log.append(record) {
        Err(crossbook_log::Error::BatchFull { .. }) => {
            log.sync()?;
            Ok(log.append(record)?)
        }
        other => Ok(other?),
    }
}

/// How many bytes the files of a folder have.
fn size(folder: &Path) -> Result<u64, Error> {
    let mut bytes = 0;
    for file in std::fs::read_dir(folder)? {
        bytes += file?.metadata()?.len();
    }
    Ok(bytes)
}
