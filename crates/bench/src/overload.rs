//! `crossbook bench overload`: a venue at ten times its normal load.
//!
//! The venue is slowed down on purpose, with one order per sync, so that this machine can send ten times its capacity;
//! over REST, where a request costs both sides many times as much, it is limited to a thousand syncs per second. First
//! its capacity is measured, then lower rates, until everything is executed and nothing refused: the sustained rate,
//! its normal load. Then it gets ten times that; then the normal load again. Admitted orders must hardly be slower,
//! others must be refused at once, and the venue must recover afterwards.
//!
//! A cluster ([`Subject`]) is slowed down by what its gateways append in a turn.

mod subject;

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbook_loadgen::http::{self, Client, ErrorKind, Flow, Outgoing, Pace, Plan, Prepared, Response};
use crossbook_loadgen::latency::Latency;
use crossbook_loadgen::operator::{Operator, Trader};
use crossbook_loadgen::websocket;
use crossbook_report::{Chart, Report, Section, Table, Unit, Verdict, write_json};
use crossbook_venue::memory;
use serde::Serialize;

use self::subject::Subject;
use super::Error;
use crate::options::{Over, Overload};

/// Which parts of what it can do, in hundredths, are tried as its normal load, until one is sustained.
const NORMAL_TRIED: [u32; 5] = [80, 70, 60, 50, 40];
/// And which is taken as such then, be it sustained or not.
const NORMAL_LEAST: u32 = 30;
/// How many times that is asked of it.
const TIMES: u64 = 10;
/// What an admitted order may take, in times of what it takes normally, at p99.
const SLOWER_MAX: f64 = 2.0;
/// How soon a refusal must come, at p99.
const REFUSED_MAX: Duration = Duration::from_millis(10);
/// How soon it must be normal again.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// The codes that a refusal may have: too many requests, too much under way, too many orders.
const CODES: [i32; 3] = [-1003, -1008, -1015];
/// How much of what is due a load must come to, for its phase to say anything.
const DONE_MIN: f64 = 0.95;
/// How much of what it can do it must admit under overload.
const ADMITTED_MIN: f64 = 0.8;
/// An answer that takes longer is given up.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Orders under way on a WebSocket connection.
const PIPELINE: usize = 64;
/// Orders under way while it is asked for as much as it can do: always one that waits, and none that waits for so long
/// that it is refused. Where batches are held apart, one that waits behind another would.
const FEW: usize = 4;
const FEW_HELD_APART: usize = 2;

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    most_per_second: f64,
    /// The phase that this is from.
    at_most: Phase,
    /// How much of that is taken as its normal load, in hundredths.
    normal_percent: u32,
    /// What was tried before, and not sustained.
    not_sustained: Vec<Phase>,
    phases: Vec<Phase>,
    /// Bytes of memory, the most there were.
    memory_before: Option<u64>,
    memory_after: Option<u64>,
    pass: bool,
}

/// One rate, for a while.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Phase {
    name: &'static str,
    due_per_second: u64,
    sent_per_second: f64,
    admitted_per_second: f64,
    /// From sending it.
    admitted_p50_ms: f64,
    admitted_p99_ms: f64,
    /// From when it was due, be it sent late or not.
    admitted_from_due_p99_ms: f64,
    refused_per_second: f64,
    refused_p99_ms: f64,
    /// Due, and not even sent in time to count.
    unsent: u64,
    /// By code; what is not a refusal with a code is under its name.
    errors: BTreeMap<String, u64>,
    #[serde(skip)]
    admitted: Latency,
}

impl Phase {
    /// Whether all that was due was done.
    fn is_sustained(&self) -> bool {
        let done = self.admitted_per_second >= self.due_per_second as f64 * DONE_MIN;
        self.errors.is_empty() && self.unsent == 0 && done
    }
}

/// Measures what the command line says. Whether the venue stood it.
///
/// # Errors
/// See [`Error`].
pub fn run(options: &Overload, runtime: &tokio::runtime::Runtime) -> Result<bool, Error> {
    memory::clients_on_small_pages();
    let folder = tempfile::tempdir()?;
    let summary = "What becomes of a venue that is asked for ten times its normal load.";
    let mut report = Report::begin("Overload", summary, Some(folder.path()));
    let subject = Subject::start(options, folder.path())?;
    let mut measured = measure(options, &subject, runtime)?;
    let described = subject.described();
    drop(subject);
    show(&measured, &described, &mut report);
    measured.pass = report.passed();
    println!("{}", report.text());
    if let Some(path) = &options.output.report {
        report.write(path)?;
    }
    if let Some(path) = &options.output.json {
        write_json(path, &measured)?;
    }
    Ok(measured.pass)
}

/// Measures the venue's capacity and its normal load, and loads it with [`TIMES`] times that. Whether it passed is not
/// decided yet.
fn measure(options: &Overload, subject: &Subject, runtime: &tokio::runtime::Runtime) -> Result<Measured, Error> {
    let connections = options.connections.unwrap_or(match (subject, options.over) {
        (Subject::Venue(..), Over::Websocket) => 8,
        (Subject::Cluster(..), Over::Websocket) => 48,
        (_, Over::Rest) => 256,
    });
    let traders = Operator::new(subject.admin(), subject.token()).make(subject.markets(), connections)?;
    let few = match subject {
        Subject::Venue(_, 0) => FEW,
        Subject::Venue(..) => FEW_HELD_APART,
        Subject::Cluster(..) => connections,
    };
    let display = indicatif::ProgressBar::new_spinner();
    display.enable_steady_tick(Duration::from_millis(100));
    let go = |name: &'static str, pace, seconds: u32| {
        display.set_message(name);
        let (traders, pipeline) = match pace {
            Pace::Closed => (&traders[..few.min(traders.len())], 1),
            Pace::Open(_) => (&traders[..], PIPELINE),
        };
        let plan = Plan {
            address: subject.http(),
            pace,
            requests: http::MAX_REQUESTS,
            duration: Duration::from_secs(seconds.into()),
            timeout: TIMEOUT,
        };
        runtime.block_on(phase(plan, traders, pipeline, name, options.over))
    };
    let seconds = options.seconds;
    let at_most = go("as much as it can do", Pace::Closed, seconds)?;
    let most = at_most.admitted_per_second;
    let rate = |percent: u32, times: u64| {
        NonZeroU64::new((most * f64::from(percent) / 100.0) as u64 * times).unwrap_or(NonZeroU64::MIN)
    };
    let (mut tried, mut not_sustained) = (NORMAL_TRIED.into_iter(), Vec::new());
    let (percent, mut normal) = loop {
        let percent = tried.next().unwrap_or(NORMAL_LEAST);
        let normal = go("tried as normal load", Pace::Open(rate(percent, 1)), seconds)?;
        if normal.is_sustained() || percent == NORMAL_LEAST {
            break (percent, normal);
        }
        not_sustained.push(normal);
    };
    normal.name = "normal load";
    let memory_before = subject.memory_max();
    let overload = go("ten times that", Pace::Open(rate(percent, TIMES)), options.overload_seconds)?;
    let memory_after = subject.memory_max();
    go("afterwards", Pace::Open(rate(percent, 1)), BACK_WITHIN.as_secs() as u32)?;
    let after = go("normal load again", Pace::Open(rate(percent, 1)), seconds)?;
    display.finish_and_clear();
    Ok(Measured {
        most_per_second: most,
        at_most,
        normal_percent: percent,
        not_sustained,
        phases: vec![normal, overload, after],
        memory_before,
        memory_after,
        pass: false,
    })
}

fn show(measured: &Measured, described: &str, report: &mut Report) {
    report.push(phases(measured, described));
    if let [normal, overload, after] = &measured.phases[..] {
        report.push(Section::new("Verdict").verdicts(verdicts(measured, normal, overload, after)));
    }
}

/// The phases as a table, and the latencies of admitted orders.
fn phases(measured: &Measured, described: &str) -> Section {
    let mut table = Table::new([
        "",
        "due/s",
        "sent/s",
        "admitted/s",
        "p50",
        "p99",
        "p99 from due",
        "refused/s",
        "p99 of refusals",
        "errors",
    ]);
    for phase in [&measured.at_most].into_iter().chain(&measured.not_sustained).chain(&measured.phases) {
        let errors = phase.errors.iter().map(|(code, count)| format!("{code}: {count}")).collect::<Vec<_>>().join(", ");
        table.row([
            phase.name.to_owned(),
            phase.due_per_second.to_string(),
            format!("{:.0}", phase.sent_per_second),
            format!("{:.0}", phase.admitted_per_second),
            ms(phase.admitted_p50_ms),
            ms(phase.admitted_p99_ms),
            ms(phase.admitted_from_due_p99_ms),
            format!("{:.0}", phase.refused_per_second),
            ms(phase.refused_p99_ms),
            if errors.is_empty() { "none".to_owned() } else { errors },
        ]);
    }
    let text = format!(
        "{described} does {:.0} orders/s. Its normal load is {} % of that: what it sustained, of {NORMAL_TRIED:?}, or \
         else {NORMAL_LEAST}. Times count from when an order was sent, as the venue cannot help it if this machine, \
         whose processors it shares, comes behind with sending; but what that came to is told beside it, from when \
         orders were due.",
        measured.most_per_second, measured.normal_percent,
    );
    let curves = measured.phases.iter().map(|phase| (phase.name, &phase.admitted));
    Section::new("Phases").text(text).table(table).chart(Chart::percentiles("Latency of admitted orders", curves))
}

fn verdicts(measured: &Measured, normal: &Phase, overload: &Phase, after: &Phase) -> Vec<Verdict> {
    let done = |phase: &Phase| phase.admitted_per_second / phase.due_per_second as f64 * 100.0;
    let times = |phase: &Phase| phase.admitted_p99_ms / normal.admitted_p99_ms;
    let known = |code: &String| CODES.iter().any(|known| known.to_string() == *code);
    let strange: u64 = overload.errors.iter().filter(|(code, _)| !known(code)).map(|(_, count)| count).sum();
    let megabytes =
        |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000));
    vec![
        Verdict::new(
            "normal load",
            "all that is due is done, nothing refused",
            format!("{:.0} % done, {:.0} refused/s", done(normal), normal.refused_per_second),
            normal.is_sustained(),
        ),
        Verdict::new(
            "overload",
            format!("at least {:.0} % of {TIMES} times the normal load is sent", DONE_MIN * 100.0),
            format!("{:.1} times", overload.sent_per_second / normal.due_per_second as f64),
            overload.sent_per_second >= overload.due_per_second as f64 * DONE_MIN,
        ),
        Verdict::new(
            "p99 of admitted orders under overload",
            format!("at most {SLOWER_MAX} times the normal one"),
            format!("{:.1} times", times(overload)),
            times(overload) <= SLOWER_MAX,
        ),
        Verdict::new(
            "p99 of refusals",
            format!("under {} ms", REFUSED_MAX.as_millis()),
            ms(overload.refused_p99_ms),
            overload.refused_p99_ms < REFUSED_MAX.as_secs_f64() * 1e3 && overload.refused_per_second > 0.0,
        ),
        Verdict::new("refusals with another code, or none", "0", strange.to_string(), strange == 0),
        Verdict::new(
            "what it admits under overload",
            format!("at least {:.0} % of what it can do", ADMITTED_MIN * 100.0),
            format!("{:.0} %", overload.admitted_per_second / measured.most_per_second * 100.0),
            overload.admitted_per_second >= measured.most_per_second * ADMITTED_MIN,
        ),
        Verdict::new(
            format!("p99 from {} s afterwards", BACK_WITHIN.as_secs()),
            format!("at most {SLOWER_MAX} times the normal one, nothing refused"),
            format!("{:.1} times, {:.0} refused/s", times(after), after.refused_per_second),
            times(after) <= SLOWER_MAX && after.is_sustained(),
        ),
        Verdict::new(
            "memory of the venue, at most",
            "no more than twice that of normal load",
            format!("{}, before {}", megabytes(measured.memory_after), megabytes(measured.memory_before)),
            measured.memory_after.zip(measured.memory_before).is_some_and(|(after, before)| after <= before * 2),
        ),
    ]
}

fn ms(milliseconds: f64) -> String {
    Unit::Nanoseconds.show(milliseconds * 1e6)
}

/// Orders at one pace.
async fn phase(
    plan: Plan,
    traders: &[Trader],
    pipeline: usize,
    name: &'static str,
    over: Over,
) -> Result<Phase, Error> {
    let times = Arc::new(Mutex::new(Times::default()));
    let pace = plan.pace;
    let report = match over {
        Over::Rest => {
            let clients = traders.iter().map(|trader| {
                let Client { credentials, flow } = trader.client();
                Client { credentials, flow: Watched { flow, times: Arc::clone(&times), sent: Instant::now() } }
            });
            http::run(plan, clients.collect()).await?
        }
        Over::Websocket => {
            let times = Arc::clone(&times);
            websocket::run_watched(plan, pipeline, traders, move |took, is_success| {
                lock(&times).record(took, is_success);
            })
            .await?
        }
    };
    let seconds = report.elapsed.as_secs_f64();
    let mut errors = BTreeMap::new();
    for error in &report.errors {
        let code = match error.kind {
            ErrorKind::Refused { code: Some(code), .. } => code.to_string(),
            other => format!("{other:?}"),
        };
        *errors.entry(code).or_default() += error.count;
    }
    let Times { admitted, refused } = std::mem::take(&mut *lock(&times));
    let (display, refused) = (admitted.summary(), refused.summary());
    let refusals: u64 = report.errors.iter().map(|error| error.count).sum();
    Ok(Phase {
        name,
        due_per_second: match pace {
            Pace::Open(rate) => rate.get(),
            Pace::Closed => 0,
        },
        sent_per_second: report.sent as f64 / seconds,
        admitted_per_second: report.throughput(),
        admitted_p50_ms: display.p50_ns as f64 / 1e6,
        admitted_p99_ms: display.p99_ns as f64 / 1e6,
        admitted_from_due_p99_ms: report.latency.summary().p99_ns as f64 / 1e6,
        refused_per_second: refusals as f64 / seconds,
        refused_p99_ms: refused.p99_ns as f64 / 1e6,
        unsent: report.unsent,
        errors,
        admitted,
    })
}

/// How long answers took from when their orders were sent.
#[derive(Default)]
struct Times {
    admitted: Latency,
    refused: Latency,
}

impl Times {
    fn record(&mut self, took: Duration, is_success: bool) {
        if is_success { self.admitted.record(took) } else { self.refused.record(took) }
    }
}

/// A client of which it is also known how long answers took from sending.
struct Watched<F> {
    flow: F,
    times: Arc<Mutex<Times>>,
    sent: Instant,
}

impl<F: Flow> Flow for Watched<F> {
    fn next(&mut self, number: u64, outgoing: Outgoing<'_>) -> Option<Prepared> {
        self.sent = Instant::now();
        self.flow.next(number, outgoing)
    }

    fn answered(&mut self, answer: Result<Response<'_>, ErrorKind>, from_due: Duration) {
        let took = self.sent.elapsed();
        if let Ok(response) = &answer {
            lock(&self.times).record(took, response.is_success());
        }
        self.flow.answered(answer, from_due);
    }
}

fn lock(times: &Mutex<Times>) -> MutexGuard<'_, Times> {
    times.lock().unwrap_or_else(PoisonError::into_inner)
}
