//! Runs a plan: many clients, each on a connection of its own, and one report.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout, timeout_at};

use super::connection::{self, Connection, Response};
use super::request::{Credentials, Outgoing, Prepared, Template};
use crate::latency::{Latency, Quota, Schedule};

/// The most connections of one run.
pub const MAX_CONNECTIONS: usize = 10_000;
/// The most requests of one run.
pub const MAX_REQUESTS: u64 = 1 << 40;
/// The most kinds of error told apart; others count as [`ErrorKind::Other`].
pub const MAX_ERROR_KINDS: usize = 64;
/// A client that fails to connect so many times in a row gives up.
pub const MAX_FAILURES_IN_A_ROW: u32 = 200;

/// How fine the timeline of a report is.
pub const TIMELINE_STEP: Duration = Duration::from_millis(250);
/// A timeline ends here, after an hour.
const TIMELINE_STEPS_MAX: usize = 14_400;

/// Between two attempts to connect again; with [`MAX_FAILURES_IN_A_ROW`] some ten seconds, longer than a failover
/// takes.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
/// The shortest sleep of the pacer. At high rates it releases a few requests at once rather than wake for each.
const PACER_PAUSE_MIN: Duration = Duration::from_micros(100);
/// The longest sleep of the pacer, so that it soon sees that a run was abandoned.
const PACER_PAUSE_MAX: Duration = Duration::from_millis(100);

/// Why a run did not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A run needs clients.
    #[error("a run needs at least one client and can have {MAX_CONNECTIONS}; {0} were given")]
    Clients(usize),
    /// The plan asks for more than can be counted.
    #[error("a run can make {MAX_REQUESTS} requests; {0} were asked for")]
    Requests(u64),
    /// A plan ends in time.
    #[error("duration and timeout must be more than zero and at most a day; they are {0:?} and {1:?}")]
    Times(Duration, Duration),
    /// Not all clients could connect.
    #[error("cannot connect to the venue at {0}: {1}; is it running?")]
    Connect(SocketAddr, #[source] connection::Error),
}

/// When a client sends its next request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// As soon as it has the answer to the last. Latency counts from sending.
    Closed,
    /// When it is due, at this rate per second over all clients, whether or not the venue keeps up. A request that
    /// finds no client free waits for one, and its latency counts from when it was due all the same.
    Open(NonZeroU64),
}

/// What a run does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Where the venue listens.
    pub address: SocketAddr,
    /// When requests are sent.
    pub pace: Pace,
    /// The run ends after so many requests over all clients.
    pub requests: u64,
    /// Or after this time. An open loop makes the requests due by then, and gets one `timeout` more to catch up.
    pub duration: Duration,
    /// An answer that takes longer is given up, and its connection with it.
    pub timeout: Duration,
}

/// One connection's part in a run.
#[derive(Debug)]
pub struct Client<F> {
    /// Credentials that sign the requests; none: unsigned.
    pub credentials: Option<Credentials>,
    /// Decides what to send.
    pub flow: F,
}

/// What a client sends, request by request. A closure that writes the next request is one that does not look at
/// answers.
pub trait Flow: Send + 'static {
    /// Writes the next request, given its number over all clients, counted from 0; `None` ends this client's part.
    fn next(&mut self, number: u64, outgoing: Outgoing<'_>) -> Option<Prepared>;

    /// What came of the last request, and how long after it was due, or was sent where it was not due at a time.
    fn answered(&mut self, answer: Result<Response<'_>, ErrorKind>, latency: Duration) {
        let _ = (answer, latency);
    }

    /// Writes a request that follows from the last answer, and is sent at once on top of those that are due. The report
    /// knows nothing of it; [`Flow::answered`] hears of it as of any other.
    fn follow_up(&mut self, outgoing: Outgoing<'_>) -> Option<Prepared> {
        let _ = outgoing;
        None
    }
}

impl<F> Flow for F
where
    F: FnMut(u64, Outgoing<'_>) -> Option<Prepared> + Send + 'static,
{
    fn next(&mut self, number: u64, outgoing: Outgoing<'_>) -> Option<Prepared> {
        self(number, outgoing)
    }
}

/// Ends a run early. What is due by then is still sent and waited for.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<OnceLock<Instant>>);

impl Stop {
    /// Ends it now. A second time changes nothing.
    pub fn stop(&self) {
        let _ = self.0.set(Instant::now());
    }

    /// When it was ended.
    #[must_use]
    pub fn at(&self) -> Option<Instant> {
        self.0.get().copied()
    }
}

/// What can go wrong with a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The venue refused it.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The code in the body, where there is one; -1013, for instance.
        code: Option<i32>,
    },
    /// No answer in time. The venue may have carried the request out.
    Timeout,
    /// The connection failed under way. The venue may have carried the request out.
    Disconnected,
    /// The answer was not one.
    Malformed,
    /// The venue could not be reached again after a failure. This counts attempts, not requests.
    Connect,
    /// One more kind than [`MAX_ERROR_KINDS`].
    Other,
}

/// How often something went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct ErrorCount {
    /// The kind of error.
    pub kind: ErrorKind,
    /// Number of errors of this kind.
    pub count: u64,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Number of requests sent.
    pub sent: u64,
    /// Requests answered with a status of 2xx.
    pub succeeded: u64,
    /// Requests of an open loop that were due but found no client in time. Above zero, the venue or the clients were
    /// too few or too slow for the rate, and the latencies do not tell the whole story.
    pub unsent: u64,
    /// What went wrong, by kind.
    pub errors: Vec<ErrorCount>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// The latencies of the requests that succeeded. A refusal is quick and would flatter.
    pub latency: Latency,
    /// Requests that succeeded in each [`TIMELINE_STEP`], from the beginning on; of the first hour.
    pub timeline: Vec<u64>,
}

impl Report {
    /// Successful requests per second.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        if self.elapsed.is_zero() { 0.0 } else { self.succeeded as f64 / self.elapsed.as_secs_f64() }
    }

    /// How often one kind of error occurred.
    #[must_use]
    pub fn errors_of(&self, kind: ErrorKind) -> u64 {
        self.errors.iter().filter(|error| error.kind == kind).map(|error| error.count).sum()
    }
}

/// Runs the plan: connects every client, then starts the clock. Must be called within a Tokio runtime with network and
/// time; one with a single thread costs the least.
///
/// # Errors
/// When the plan is out of bounds or not every client can connect. What goes wrong later is counted in the report.
///
/// # Panics
/// When a flow does.
pub async fn run<F: Flow>(plan: Plan, clients: Vec<Client<F>>) -> Result<Report, Error> {
    run_until(plan, clients, Stop::default()).await
}

/// As [`run()`], until `stop` ends it, if that is sooner.
///
/// # Errors
/// As [`run()`].
///
/// # Panics
/// As [`run()`].
pub async fn run_until<F: Flow>(plan: Plan, clients: Vec<Client<F>>, stop: Stop) -> Result<Report, Error> {
    check(&plan, clients.len())?;
    let connections = clients.len();
    let host = plan.address.to_string();
    let mut ready = Vec::with_capacity(connections);
    for client in clients {
        let opened = timeout(plan.timeout, Connection::open(plan.address)).await;
        let connection = opened
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
            .map_err(|error| Error::Connect(plan.address, error))?;
        ready.push((connection, Template::new(&host, client.credentials), client.flow));
    }

    let course = Course::begin(plan, connections, stop);
    let mut tasks = JoinSet::new();
    for (connection, template, flow) in ready {
        let part = Part { course: Arc::clone(&course), template, flow, buffer: Vec::new() };
        tasks.spawn(part.run(connection));
    }
    while let Some(finished) = tasks.join_next().await {
        if let Err(error) = finished {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    Ok(course.report())
}

pub(crate) fn check(plan: &Plan, clients: usize) -> Result<(), Error> {
    const DAY: Duration = Duration::from_secs(86_400);
    if clients == 0 || clients > MAX_CONNECTIONS {
        return Err(Error::Clients(clients));
    }
    if plan.requests > MAX_REQUESTS {
        return Err(Error::Requests(plan.requests));
    }
    if [plan.duration, plan.timeout].iter().any(|time| time.is_zero() || *time > DAY) {
        return Err(Error::Times(plan.duration, plan.timeout));
    }
    Ok(())
}

/// What an open loop adds to a closed one.
struct Open {
    schedule: Schedule,
    /// One permit for each request that is due and not yet taken.
    due: Arc<Semaphore>,
}

/// What all clients of a run share: when the next request is due, and what came of those that were made. How a request
/// travels, it does not know.
pub(crate) struct Course {
    pub(crate) plan: Plan,
    start: Instant,
    open: Option<Open>,
    /// Requests in all.
    total: u64,
    quota: Quota,
    /// No request is taken after this.
    deadline: Instant,
    /// Nor one that is due after the end that this sets.
    stop: Stop,
    /// Shared, because a record of latencies for each of many clients would take gigabytes. It is held for some
    /// nanoseconds an answer, and never while waiting.
    tally: Mutex<Tally>,
}

impl Course {
    /// Starts the clock of a run over so many connections. Within a Tokio runtime.
    pub(crate) fn begin(plan: Plan, connections: usize, stop: Stop) -> Arc<Self> {
        let start = Instant::now();
        let (open, total) = match plan.pace {
            Pace::Closed => (None, plan.requests),
            Pace::Open(rate) => {
                let schedule = Schedule::new(start, rate);
                let total = plan.requests.min(schedule.due_by(start + plan.duration));
                let due = Arc::new(Semaphore::new(0));
                let pacer = Pacer { schedule, total, connections, due: Arc::downgrade(&due), stop: stop.clone() };
                tokio::task::spawn_blocking(move || pacer.run());
                (Some(Open { schedule, due }), total)
            }
        };
        let grace = if open.is_some() { plan.timeout } else { Duration::ZERO };
        Arc::new(Self {
            plan,
            start,
            open,
            total,
            quota: Quota::new(total),
            deadline: start + plan.duration + grace,
            stop,
            tally: Mutex::default(),
        })
    }

    /// What came of the run, which is over.
    pub(crate) fn report(&self) -> Report {
        let tally = std::mem::take(&mut *self.tally());
        // Of a run that was ended early, what was due by then.
        let due = self
            .open
            .as_ref()
            .map_or(0, |open| self.stop.at().map_or(self.total, |at| open.schedule.due_by(at).min(self.total)));
        Report {
            sent: tally.sent,
            succeeded: tally.latency.count(),
            unsent: due.saturating_sub(self.quota.taken()),
            errors: tally.errors.into_iter().map(|(kind, count)| ErrorCount { kind, count }).collect(),
            elapsed: self.start.elapsed(),
            latency: tally.latency,
            timeline: tally.timeline,
        }
    }

    /// Counts a request that succeeded.
    pub(crate) fn succeeded(&self, latency: Duration) {
        let step = (self.start.elapsed().as_nanos() / TIMELINE_STEP.as_nanos()) as usize;
        let mut tally = self.tally();
        tally.sent += 1;
        tally.latency.record(latency);
        if step < TIMELINE_STEPS_MAX {
            let length = tally.timeline.len().max(step + 1);
            tally.timeline.resize(length, 0);
            tally.timeline[step] += 1;
        }
    }

    /// Counts a request that failed.
    pub(crate) fn failed(&self, kind: ErrorKind) {
        let mut tally = self.tally();
        tally.sent += 1;
        tally.count(kind);
    }

    /// The tally. One that a panicking client left behind is as good as any: every change to it is whole.
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is a request to make; gives its number and the moment from which its latency counts.
    pub(crate) async fn next(&self) -> Option<(u64, Instant)> {
        let Some(open) = &self.open else {
            let now = Instant::now();
            let is_over = now >= self.deadline || self.stop.at().is_some();
            return if is_over { None } else { Some((self.quota.take()?, now)) };
        };
        match timeout_at(self.deadline.into(), open.due.acquire()).await {
            // The number is taken after the permit, so a request can be late but never early.
            Ok(Ok(permit)) => permit.forget(),
            Ok(Err(_)) | Err(_) => return None,
        }
        // A permit that is free at once is handed out even after the deadline.
        if Instant::now() >= self.deadline {
            return None;
        }
        let number = self.quota.take()?;
        let due = open.schedule.due(number);
        if self.stop.at().is_some_and(|at| due > at) { None } else { Some((number, due)) }
    }
}

/// Releases the requests of an open loop as they fall due. It has a thread of its own, since the timers of the runtime
/// are no finer than a millisecond.
struct Pacer {
    schedule: Schedule,
    total: u64,
    connections: usize,
    due: Weak<Semaphore>,
    stop: Stop,
}

impl Pacer {
    fn run(self) {
        let mut released = 0;
        while released < self.total && self.stop.at().is_none() {
            let now = Instant::now();
            let due = self.schedule.due_by(now).min(self.total);
            if due > released {
                let Some(semaphore) = self.due.upgrade() else { return };
                // At most MAX_REQUESTS, far below the semaphore's limit.
                semaphore.add_permits((due - released) as usize);
                released = due;
            } else {
                if self.due.strong_count() == 0 {
                    return;
                }
                let pause = self.schedule.due(released).saturating_duration_since(now);
                std::thread::sleep(pause.clamp(PACER_PAUSE_MIN, PACER_PAUSE_MAX));
            }
        }
        // What had become due when the run was ended early, and one more for each client, which finds nothing left and
        // ends.
        let last = self.stop.at().map_or(self.total, |at| self.schedule.due_by(at).min(self.total));
        if let Some(semaphore) = self.due.upgrade() {
            semaphore.add_permits(last.saturating_sub(released) as usize + self.connections);
        }
    }
}

/// What the clients saw.
#[derive(Default)]
struct Tally {
    sent: u64,
    errors: BTreeMap<ErrorKind, u64>,
    latency: Latency,
    /// Successes in each [`TIMELINE_STEP`].
    timeline: Vec<u64>,
}

impl Tally {
    fn count(&mut self, kind: ErrorKind) {
        let known = self.errors.len() < MAX_ERROR_KINDS || self.errors.contains_key(&kind);
        *self.errors.entry(if known { kind } else { ErrorKind::Other }).or_default() += 1;
    }
}

/// One client at work.
struct Part<F> {
    course: Arc<Course>,
    template: Template,
    flow: F,
    buffer: Vec<u8>,
}

impl<F: Flow> Part<F> {
    async fn run(mut self, connection: Connection) {
        let mut connection = Some(connection);
        loop {
            let mut usable = match connection.take() {
                Some(usable) => usable,
                // A request is taken only once there is a connection to send it on.
                None => match self.reconnect().await {
                    Some(usable) => usable,
                    None => break,
                },
            };
            let Some((number, since)) = self.course.next().await else { break };
            if self.flow.next(number, self.template.outgoing(&mut self.buffer, unix_milliseconds())).is_none() {
                break;
            }
            let mut is_usable = self.exchange(&mut usable, since, true).await;
            while is_usable
                && self.flow.follow_up(self.template.outgoing(&mut self.buffer, unix_milliseconds())).is_some()
            {
                is_usable = self.exchange(&mut usable, Instant::now(), false).await;
            }
            if is_usable {
                connection = Some(usable);
            }
        }
    }

    /// Sends the request in the buffer, and counts what comes of it if it is `counted`. Tells whether the connection
    /// can be used again.
    async fn exchange(&mut self, connection: &mut Connection, since: Instant, counted: bool) -> bool {
        let answer = timeout(self.course.plan.timeout, connection.exchange(&self.buffer)).await;
        let latency = since.elapsed();
        let answer = match answer {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(connection::Error::Io(_) | connection::Error::Closed)) => Err(ErrorKind::Disconnected),
            Ok(Err(connection::Error::Malformed(_) | connection::Error::TooLong)) => Err(ErrorKind::Malformed),
            Err(_) => Err(ErrorKind::Timeout),
        };
        if counted {
            match answer {
                Ok(response) if response.is_success() => self.course.succeeded(latency),
                Ok(response) => {
                    self.course.failed(ErrorKind::Refused { status: response.status, code: response.error_code() });
                }
                Err(error) => self.course.failed(error),
            }
        }
        self.flow.answered(answer, latency);
        answer.is_ok_and(|response| !response.closes)
    }

    async fn reconnect(&mut self) -> Option<Connection> {
        for _ in 0..MAX_FAILURES_IN_A_ROW {
            if Instant::now() >= self.course.deadline {
                return None;
            }
            let plan = &self.course.plan;
            if let Ok(Ok(connection)) = timeout(plan.timeout, Connection::open(plan.address)).await {
                return Some(connection);
            }
            self.course.tally().count(ErrorKind::Connect);
            sleep(RECONNECT_PAUSE).await;
        }
        None
    }
}

/// Requests carry the time of the wall clock, which the venue compares with its own.
pub(crate) fn unix_milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
