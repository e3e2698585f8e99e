//! `crossbook bench store --follow`: the history behind a trading venue. A partition executes the standard workload at
//! a steady rate, through a real log, and the history's thread writes the tables. Then the same log again without
//! trading: the limit of writing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crossbook_engine::Partition;
use crossbook_log::{Files, files};
use crossbook_node::embedded::{self, Handle, SystemClock};
use crossbook_node::node::Clock as _;
use crossbook_node::snapshot::Folder;
use crossbook_node::{EventSink, NotAccepted, Request};
use crossbook_oracle::feed::Feed;
use crossbook_oracle::workload::{GroundTruth, Workload, mix_a};
use crossbook_protocol::command::Body;
use crossbook_protocol::{Cause, Events, Routing};
use crossbook_report::{Axis, Chart, Section, Series, Table, Unit, Verdict, write_json};
use crossbook_store::{Activity, Live, Progress};
use crossbook_types::{RequestNumber, Sequence};
use crossbook_venue::data_folder::{log_folder, snapshot_folder};
use crossbook_venue::history::source::LogSource;
use crossbook_venue::history::{Keeper, ProgressSink};
use crossbook_venue::process::fatal;
use serde::Serialize;
use tempfile::TempDir;

use super::Error;
use super::databases::{self, Place};
use super::processor::Used;
use super::progress::ProgressDisplay;
use crate::options::Store;

/// The most by which a history may be behind the venue that keeps up with it: ten times as long as rows wait for
/// others.
const LAG_MAX: Duration = Duration::from_secs(1);
/// How much of the commands asked for must have been taken, or it was the venue that did not keep up.
const TAKEN_MIN: f64 = 0.99;
/// Between two looks at the clock while nothing is due.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long the history may take for its last rows.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    rate: u32,
    seconds: u32,
    databases: Vec<Measured>,
}

/// What was measured on one database.
#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    followed: Followed,
    alone: Alone,
}

/// While the venue traded.
#[derive(Debug, Serialize)]
struct Followed {
    samples: Vec<Sample>,
    commands_per_second: f64,
    rows_per_second: f64,
    lag_seconds_max: f64,
    drain_seconds: f64,
    kept_up: bool,
    /// Processors that each part had on average.
    processors: BTreeMap<String, f64>,
}

#[derive(Debug, Serialize)]
struct Sample {
    second: u32,
    commands: u64,
    lag_commands: u64,
    lag_seconds: f64,
}

/// When nobody traded.
#[derive(Debug, Serialize)]
struct Alone {
    commands: u64,
    seconds: f64,
    commands_per_second: f64,
    rows_per_second: f64,
    processors: BTreeMap<String, f64>,
}

/// Measures what the command line says.
///
/// # Errors
/// See [`Error`].
pub fn run(options: &Store, runtime: &tokio::runtime::Runtime) -> Result<(), Error> {
    let count = options.rate as usize * options.seconds as usize;
    let workload = mix_a(GroundTruth::SEED_A, GroundTruth::WARMUP_A, count);
    let mut report = Report { rate: options.rate, seconds: options.seconds, databases: Vec::new() };
    // The history's queries want a runtime around them when they are made, though none is asked here.
    let _context = runtime.enter();
    for place in databases::of(options)? {
        runtime.block_on(place.clear())?;
        let mut venue = Venue::start(&workload)?;
        let followed = venue.follow(&place, options.rate, options.seconds)?;
        print_followed(&place, &followed);
        let written = venue.stop()?;
        runtime.block_on(place.clear())?;
        let alone = written.read(&place)?;
        print_alone(&alone);
        runtime.block_on(place.clear())?;
        report.databases.push(Measured { database: place.name, followed, alone });
    }
    if let Some(path) = &options.output.report {
        page(&report).write(path)?;
    }
    options.output.json.as_deref().map_or(Ok(()), |path| Ok(write_json(path, &report)?))
}

/// A venue without a gateway.
struct Venue<'a> {
    folder: TempDir,
    running: embedded::Running<Files, ProgressSink<Nobody>>,
    live: Live,
    workload: &'a Workload,
    feed: Feed,
    bodies: Vec<Body>,
    sent: u64,
}

/// A venue's log, when the venue has stopped.
struct Written {
    folder: TempDir,
    live: Live,
    warmup: Sequence,
}

impl<'a> Venue<'a> {
    /// A venue that has taken the warm-up.
    fn start(workload: &'a Workload) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let (log, _) = Files::open(&log_folder(folder.path()), files::Options::default())?;
        let live = Live::default();
        let sink = ProgressSink::new(Nobody, live.clone());
        let partition = Partition::new(crossbook_venue::history::PARTITION, Routing::single(), 0);
        let running = embedded::start(partition, log, sink, embedded::Options::default(), fatal)?;
        let (feed, bodies) = (Feed::new(workload), Feed::opening());
        let mut venue = Self { folder, running, live, workload, feed, bodies, sent: 0 };
        venue.submit()?;
        for command in &workload.commands[..workload.warmup] {
            venue.feed.translate(command, &mut venue.bodies);
            venue.submit()?;
        }
        while venue.live.position().0 < venue.sent {
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(venue)
    }

    /// Sends what was translated, and waits while the venue is busy.
    fn submit(&mut self) -> Result<(), Error> {
        for body in self.bodies.drain(..) {
            self.sent += 1;
            submit(self.running.handle(), &Request { number: RequestNumber(self.sent), body, deadline: None })?;
        }
        Ok(())
    }

    /// Trades at a rate while the history follows.
    fn follow(&mut self, place: &Place, rate: u32, seconds: u32) -> Result<Followed, Error> {
        let stands = Sequence(self.sent);
        let keeper = Keeper::start(&place.database, source(self.folder.path(), stands)?, self.live.clone(), fatal)?;
        let progress = keeper.progress();
        tracing::info!("waiting until {} has the {} commands of the warm-up", place.name, stands.0);
        wait_for(progress, stands)?;
        let (rows, used) = (progress.rows(), Used::now(place.server_process()));
        let started = Instant::now();
        let mut display = ProgressDisplay::begin(format!("{}, {rate} commands a second", place.name), seconds.into());
        let mut samples: Vec<Sample> = Vec::new();
        let mut commands = self.workload.commands[self.workload.warmup..].iter();
        let count = commands.len() as u64;
        while samples.len() < seconds as usize {
            let elapsed = started.elapsed();
            let due = (elapsed.as_secs_f64() * f64::from(rate)) as u64;
            while self.sent - stands.0 < due.min(count) {
                let Some(command) = commands.next() else { break };
                self.feed.translate(command, &mut self.bodies);
                self.submit()?;
            }
            if elapsed.as_secs() > samples.len() as u64 {
                // A command comes every moment, so the last one is of now.
                let live = Cause { sequence: self.live.position(), time: SystemClock.now() };
                let (lag_commands, lag_micros) = progress.lag(live);
                let second = samples.len() as u32 + 1;
                let (commands, lag_seconds) = (live.sequence.0 - stands.0, lag_micros as f64 / 1e6);
                samples.push(Sample { second, commands, lag_commands, lag_seconds });
                display.at(second.into());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let end = Sequence(self.sent);
        while self.live.position() < end {
            std::thread::sleep(LOOK_EVERY);
        }
        let elapsed = started.elapsed().as_secs_f64();
        let processors = Used::now(place.server_process()).since(&used, elapsed);
        let written = progress.rows() - rows;
        let drained = Instant::now();
        wait_for(progress, end)?;
        let drain_seconds = drained.elapsed().as_secs_f64();
        display.end();
        keeper.stop(PATIENCE);
        let commands_per_second = (end.0 - stands.0) as f64 / elapsed;
        let lag_seconds_max = samples.iter().map(|sample| sample.lag_seconds).fold(0.0, f64::max);
        let taken = commands_per_second >= f64::from(rate) * TAKEN_MIN;
        let kept_up = taken && lag_seconds_max.max(drain_seconds) <= LAG_MAX.as_secs_f64();
        let rows_per_second = written as f64 / elapsed;
        Ok(Followed {
            samples,
            commands_per_second,
            rows_per_second,
            lag_seconds_max,
            drain_seconds,
            kept_up,
            processors,
        })
    }

    fn stop(self) -> Result<Written, Error> {
        self.running.stop().ok_or(Error::Venue)?;
        let opening = Feed::opening().len() + self.workload.warmup;
        Ok(Written { folder: self.folder, live: self.live, warmup: Sequence(opening as u64) })
    }
}

impl Written {
    /// Writes the history of the log from its beginning, and measures from the end of the warm-up on.
    fn read(&self, place: &Place) -> Result<Alone, Error> {
        let end = self.live.position();
        let keeper = Keeper::start(&place.database, source(self.folder.path(), end)?, self.live.clone(), fatal)?;
        let progress = keeper.progress();
        let mut display = ProgressDisplay::begin(format!("{}, nobody trades", place.name), end.0);
        wait_for(progress, self.warmup)?;
        let (from, rows, used) = (progress.position().sequence, progress.rows(), Used::now(place.server_process()));
        let started = Instant::now();
        while progress.position().sequence < end {
            fail(progress)?;
            display.at(progress.position().sequence.0);
            std::thread::sleep(LOOK_EVERY);
        }
        let seconds = started.elapsed().as_secs_f64();
        let processors = Used::now(place.server_process()).since(&used, seconds);
        let (commands, rows) = (end.0 - from.0, progress.rows() - rows);
        display.end();
        keeper.stop(PATIENCE);
        let (commands_per_second, rows_per_second) = (commands as f64 / seconds, rows as f64 / seconds);
        Ok(Alone { commands, seconds, commands_per_second, rows_per_second, processors })
    }
}

fn source(folder: &std::path::Path, durable: Sequence) -> Result<LogSource, Error> {
    Ok(LogSource::new(&log_folder(folder), Folder::open(&snapshot_folder(folder))?, durable, 0))
}

fn submit(handle: &Handle, request: &Request) -> Result<(), Error> {
    loop {
        match handle.submit(request.clone()) {
            Ok(()) => return Ok(()),
            Err(NotAccepted::Busy) => std::thread::sleep(LOOK_EVERY),
            Err(NotAccepted::Closed | NotAccepted::Stopping | NotAccepted::Late | NotAccepted::Silent) => {
                return Err(Error::Venue);
            }
        }
    }
}

fn wait_for(progress: &Progress, position: Sequence) -> Result<(), Error> {
    while progress.position().sequence < position {
        fail(progress)?;
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// A failure that the venue would sit out ends the measurement.
fn fail(progress: &Progress) -> Result<(), Error> {
    match progress.status().activity {
        Activity::Failing(why) => Err(Error::Stuck(why)),
        _ => Ok(()),
    }
}

/// An event sink with nobody behind it.
struct Nobody;

impl EventSink for Nobody {
    fn publish(&mut self, _: &mut Events) {}

    fn not_accepted(&mut self, _: RequestNumber, _: NotAccepted) {}
}

/// The results, to be looked at.
fn page(report: &Report) -> crossbook_report::Report {
    let summary = format!(
        "A venue takes {} commands a second for {} seconds, and the history is written behind it; then the same log \
         once more, with nobody trading.",
        report.rate, report.seconds
    );
    let mut page = crossbook_report::Report::begin("The history behind a venue", summary, Some(&std::env::temp_dir()));
    let header = ["", "commands/s", "rows/s", "lag at most", "drained in", "alone: commands/s", "alone: rows/s"];
    let (mut table, mut verdicts) = (Table::new(header), Vec::new());
    let (mut processors, mut lag, mut rate) = (Table::new(["", "who", "trading", "alone"]), Vec::new(), Vec::new());
    for Measured { database, followed, alone } in &report.databases {
        let rates = [followed.commands_per_second, followed.rows_per_second].map(|rate| Unit::Count.show(rate));
        let times = [followed.lag_seconds_max, followed.drain_seconds].map(|time| Unit::Seconds.show(time));
        let rates_alone = [alone.commands_per_second, alone.rows_per_second].map(|rate| Unit::Count.show(rate));
        table.row([(*database).to_owned()].into_iter().chain(rates).chain(times).chain(rates_alone));
        for (who, share) in &followed.processors {
            let idle = alone.processors.get(who).copied().unwrap_or_default();
            processors.row([(*database).to_owned(), who.clone(), format!("{share:.2}"), format!("{idle:.2}")]);
        }
        let found = if followed.kept_up { "it keeps up" } else { "it does not" };
        verdicts.push(Verdict::new(*database, "the history keeps up", found, followed.kept_up));
        let seconds = |value: fn(&Sample) -> f64| {
            followed.samples.iter().map(|sample| (f64::from(sample.second), value(sample))).collect()
        };
        lag.push(Series::new(*database, seconds(|sample| sample.lag_seconds)));
        let counts = followed.samples.iter().map(|sample| sample.commands as f64);
        let before = std::iter::once(0.0).chain(counts.clone());
        let each = counts.zip(before).enumerate().map(|(at, (now, before))| ((at + 1) as f64, now - before));
        rate.push(Series::new(*database, each.collect()));
    }
    let time = || Axis::linear("time", Unit::Seconds);
    let rates = Axis::linear("commands a second", Unit::PerSecond);
    page.push(
        Section::new("Behind a venue that trades")
            .table(table)
            .verdicts(verdicts)
            .chart(Chart::lines("How far the history is behind", time(), Axis::linear("lag", Unit::Seconds), lag))
            .chart(Chart::lines("Commands that the venue took", time(), rates, rate)),
    );
    page.push(Section::new("Processors used, on average").table(processors));
    page
}

fn print_followed(place: &Place, followed: &Followed) {
    println!("{}\n\n{:>6} {:>10} {:>14} {:>13}", place.name, "second", "commands", "lag, commands", "lag, seconds");
    for Sample { second, commands, lag_commands, lag_seconds } in &followed.samples {
        println!("{second:>6} {commands:>10} {lag_commands:>14} {lag_seconds:>13.3}");
    }
    println!(
        "\nbehind a venue that trades: {:.0} commands/s, {:.0} rows/s, lag at most {:.3} s, drained in {:.3} s: {}",
        followed.commands_per_second,
        followed.rows_per_second,
        followed.lag_seconds_max,
        followed.drain_seconds,
        if followed.kept_up { "it keeps up" } else { "it does not keep up" }
    );
    print_processors(&followed.processors);
}

fn print_alone(alone: &Alone) {
    println!(
        "with nobody trading:        {:.0} commands/s, {:.0} rows/s",
        alone.commands_per_second, alone.rows_per_second
    );
    print_processors(&alone.processors);
    println!();
}

fn print_processors(processors: &BTreeMap<String, f64>) {
    let parts: Vec<_> = processors.iter().map(|(name, share)| format!("{name} {share:.2}")).collect();
    println!("  processors used: {}", parts.join(", "));
}
