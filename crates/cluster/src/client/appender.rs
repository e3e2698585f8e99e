//! The thread that appends a gateway's requests to one partition's log: collects what is queued, and appends it in one
//! round trip.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use crossbook_node::embedded::SystemClock;
use crossbook_node::node::Clock as _;
use crossbook_node::request::{NotAccepted, Request};
use crossbook_types::Sequence;
use tokio::sync::oneshot;

use super::appends::{Arrival, Timeouts, Watched};
use super::in_flight::Due;
use super::{Error, Inbound, PartitionClient, Refuse, Shared};
use crate::store::{Append, Bounds, Connect, ErrorOf, Link, PartitionTurn, StoreError as _};

/// How often the requests in flight are looked after.
const TICK: Duration = Duration::from_millis(50);

/// The thread that appends.
pub(super) struct Appender<'a, C: Connect> {
    shared: &'a Shared,
    client: &'a PartitionClient,
    stores: C,
    requests: Receiver<Inbound>,
    refuse: Refuse,
    link: Option<Link<C::Store>>,
    /// Those who want to know where the log ends.
    ends: Vec<oneshot::Sender<Sequence>>,
    begun: Instant,
    timeouts: Timeouts,
}

impl<'a, C: Connect> Appender<'a, C> {
    pub(super) fn new(
        shared: &'a Shared,
        client: &'a PartitionClient,
        stores: C,
        requests: Receiver<Inbound>,
        refuse: Refuse,
    ) -> Self {
        let (begun, timeouts) = (Instant::now(), shared.options.timeouts());
        Self { shared, client, stores, requests, refuse, link: None, ends: Vec::new(), begun, timeouts }
    }

    pub(super) fn run(mut self) -> Result<(), Error> {
        let mut tries = 0;
        // The log's time is known before the first request, if the store answers; otherwise the first round fails.
        let _ = self.round();
        while !self.shared.is_stopping() {
            self.gather();
            match self.round() {
                Ok(()) => tries = 0,
                Err(source) if source.is_transient() => {
                    tracing::warn!(partition = self.client.partition.0, error = %source, "the log cannot be reached; requests wait");
                    metrics::counter!("crossbook_append_failures_total").increment(1);
                    self.link = None;
                    self.client.appends.lock().disconnected();
                    self.ends.clear();
                    self.watch();
                    self.shared.pause(&mut tries);
                }
                Err(source) => return Err(Error::Store { partition: self.client.partition, source: source.into() }),
            }
            self.watch();
        }
        // What was sent before the gateway began to stop, and never appended.
        for inbound in self.requests.try_iter() {
            if let Inbound::Request(request) = inbound {
                (self.refuse)(request.number, NotAccepted::Stopping);
            }
        }
        Ok(())
    }

    /// Takes requests from the queue.
    fn gather(&mut self) {
        let first = self.requests.recv_timeout(TICK).ok();
        let clock = SystemClock.now();
        let most = self.shared.options.batch_requests_max;
        let mut appends = self.client.appends.lock();
        for inbound in first.into_iter().chain(self.requests.try_iter()) {
            match inbound {
                Inbound::End(sender) => self.ends.push(sender),
                Inbound::Request(Request { number, body, deadline }) => {
                    let market = self.shared.owners(&body).1.filter(|&market| market != self.client.partition);
                    let offset = |market| self.shared.client(market).offset_micros.load(Ordering::Relaxed);
                    let arrival =
                        Arrival { clock, now: self.begun.elapsed(), market_offset_micros: market.map(offset) };
                    if let Err(why) = appends.begin(self.shared.source, number, &body, deadline, arrival) {
                        (self.refuse)(number, why);
                    }
                }
            }
            if appends.fresh() >= most {
                break;
            }
        }
    }

    /// One round trip, if there is a reason for one.
    fn round(&mut self) -> Result<(), ErrorOf<C>> {
        let Bounds { records_max, bytes_max } = self.stores.bounds();
        let bounds = Bounds { records_max: records_max.min(self.shared.options.batch_requests_max), bytes_max };
        let asked = !self.ends.is_empty() || self.link.is_none();
        let (clock, now) = (SystemClock.now(), self.begun.elapsed());
        let round = self.client.appends.lock().round(bounds, asked, &self.timeouts, clock, now);
        let Some(round) = round else { return Ok(()) };
        let link = match &mut self.link {
            Some(link) => link,
            none => none.insert(Link::connect(&self.stores, self.client.partition)?),
        };
        let payloads: Vec<&[u8]> = round.due.iter().map(|Due { bytes, .. }| &**bytes).collect();
        let append = Some(Append { payloads: &payloads, backlog_max: self.shared.options.backlog_max });
        let turn = PartitionTurn { append, ..PartitionTurn::default() };
        let (outcome, _) = link.turn(turn, Duration::ZERO, false)?;
        let end = match outcome.appended {
            Some(Ok(appended)) => {
                metrics::histogram!("crossbook_append_batch_requests").record(round.due.len() as f64);
                let mut appends = self.client.appends.lock();
                appends.appended(&round, appended, SystemClock.now(), self.begun.elapsed());
                self.client.offset_micros.store(appends.offset_micros(), Ordering::Relaxed);
                appended.last
            }
            _ => {
                metrics::counter!("crossbook_overload_rejections_total", "stage" => "log").increment(1);
                for number in self.client.appends.lock().full() {
                    (self.refuse)(number, NotAccepted::Busy);
                }
                let appended = link.append(&[], self.shared.options.backlog_max)?;
                let mut appends = self.client.appends.lock();
                appends.ends_at(&round, appended, SystemClock.now());
                self.client.offset_micros.store(appends.offset_micros(), Ordering::Relaxed);
                appended.last
            }
        };
        self.client.tail.store(end.0, Ordering::Release);
        for sender in self.ends.drain(..) {
            let _ = sender.send(end);
        }
        Ok(())
    }

    /// Tends the requests in flight, and records whether the partition is silent.
    fn watch(&mut self) {
        let folded = Sequence(self.client.folded.load(Ordering::Acquire));
        let now = self.begun.elapsed();
        let Watched { repeated, is_silent } =
            self.client.appends.lock().watch(folded, self.link.is_some(), &self.timeouts, now);
        metrics::counter!("crossbook_append_retries_total").increment(repeated);
        if self.client.is_silent.swap(is_silent, Ordering::Relaxed) != is_silent {
            tracing::warn!(
                partition = self.client.partition.0,
                is_silent,
                "the partition has become silent, or answers again"
            );
            metrics::gauge!("crossbook_circuit_breaker_open", "partition" => self.client.partition.0.to_string())
                .set(f64::from(u8::from(is_silent)));
        }
    }
}
