//! One partition at a gateway: hands requests to its turns, and the events of its commands to the event sink.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use crossbook_node::event_sink::EventSink;
use crossbook_node::request::{NotAccepted, Request};
use crossbook_protocol::{Event, Events, Routing};
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, Timestamp};
use tokio::sync::oneshot;

use super::sojourn::Sojourn;
use super::throughput::Readings;
use super::way::TurnWay;
use super::{Inbound, PartitionClient, Refuse, Shared};
use crate::replica::Applied;
use crate::requests::appends::{Appends, Arrival, Watched};
use crate::runtime::Host;
use crate::session::{Member, Step};
use crate::store::Failure;

/// See the module.
pub(super) struct GatewayHost<O> {
    shared: Arc<Shared>,
    at: usize,
    requests: Receiver<Inbound>,
    sink: O,
    refuse: Refuse,
    /// Those who want to know where the log ends.
    ends: Vec<oneshot::Sender<Sequence>>,
    /// Messages of other partitions that the commands of the turn were, and messages to them that these have caused.
    received: Vec<(PartitionId, RequestNumber)>,
    sent: Vec<(PartitionId, RequestNumber)>,
    readings: Readings,
    sojourn: Sojourn,
    way: TurnWay,
    begun: Instant,
    /// When the last commands were applied, if there was more to do for the partition.
    busy_since: Option<Duration>,
}

impl<O: EventSink> GatewayHost<O> {
    pub(super) fn new(shared: Arc<Shared>, at: usize, requests: Receiver<Inbound>, sink: O, refuse: Refuse) -> Self {
        let allowed = Duration::from_millis(shared.options.queue_wait_sustained_max_ms);
        let sojourn = Sojourn::new(allowed, shared.options.batch_requests_max);
        let way = TurnWay::new(&shared.hops, shared.source, shared.clients[at].partition);
        Self {
            shared,
            at,
            requests,
            sink,
            refuse,
            ends: Vec::new(),
            received: Vec::new(),
            sent: Vec::new(),
            readings: Readings::default(),
            sojourn,
            way,
            begun: Instant::now(),
            busy_since: None,
        }
    }

    fn client(&self) -> &PartitionClient {
        &self.shared.clients[self.at]
    }

    /// Takes a request into those that are to be appended.
    fn begin(&self, member: &mut Member, request: Request, (clock, now): (Timestamp, Duration)) {
        let Request { number, body, deadline } = request;
        let Some(appends) = &mut member.appends else { return };
        let own = self.client().partition;
        let market = self.shared.owners(&body).1.filter(|&market| market != own);
        let offset = |market| self.shared.client(market).offset_micros.load(Ordering::Relaxed);
        let arrival = Arrival { clock, now, market_offset_micros: market.map(offset) };
        if let Err(why) = appends.begin(self.shared.source, number, &body, deadline, arrival) {
            (self.refuse)(number, why);
        }
    }

    /// Tends the requests in flight, and records whether the partition is silent.
    fn watch(&self, member: &mut Member, is_connected: bool, now: Duration) {
        let client = self.client();
        let Some(appends) = &mut member.appends else { return };
        let applied = member.replica.partition().sequence();
        let timeouts = self.shared.options.timeouts();
        let Watched { repeated, is_silent } = appends.watch(applied, is_connected, &timeouts, now);
        client.in_flight.store(appends.len() as u64, Ordering::Release);
        if repeated > 0 {
            metrics::counter!("crossbook_append_retries_total").increment(repeated);
        }
        client.set_silent(is_silent);
    }

    /// Publishes to other threads what the turn has brought, in this order: whoever sees the position sees the rest.
    fn advance(&mut self, applied: Sequence, tail: Sequence) {
        let client = &self.shared.clients[self.at];
        for (PartitionId(from), number) in self.received.drain(..) {
            if let Some(received) = client.received_from.get(usize::from(from)) {
                received.fetch_max(number.0, Ordering::AcqRel);
            }
        }
        for (PartitionId(to), number) in self.sent.drain(..) {
            if let Some(of) = self.shared.clients.get(usize::from(to)) {
                of.sent_by[self.at].fetch_max(number.0, Ordering::AcqRel);
            }
        }
        client.tail.store(tail.0, Ordering::Release);
        client.folded.store(applied.0, Ordering::Release);
        self.shared.folded.notify_waiters();
    }

    /// Measures the partition's throughput while something waits for it.
    fn measure(&mut self, applied: usize, now: Duration) {
        let client = &self.shared.clients[self.at];
        if let Some(since) = self.busy_since {
            self.readings.busy(applied as u64, now.saturating_sub(since), &client.throughput);
        }
        let folded = Sequence(client.folded.load(Ordering::Acquire));
        self.busy_since = client.is_busy_behind(folded).then_some(now);
        if self.busy_since.is_none() {
            self.readings.idle(&client.throughput);
        }
    }
}

impl<O: EventSink> Host for GatewayHost<O> {
    fn joined(&mut self, begun: Instant) {
        self.way.count_from(begun);
    }

    fn prepare(&mut self, member: &mut Member, times: (Timestamp, Duration)) {
        let most = self.shared.options.batch_requests_max.max(1);
        while member.appends.as_ref().is_some_and(|appends| appends.fresh() < most)
            && let Ok(inbound) = self.requests.try_recv()
        {
            match inbound {
                Inbound::Request(request, arrived) => {
                    let arrived = arrived.saturating_duration_since(self.begun);
                    self.way.sends(request.number);
                    self.sojourn.begins(request.number, arrived, self.begun.elapsed());
                    self.begin(member, request, times);
                }
                Inbound::End(sender) => {
                    self.ends.push(sender);
                    member.ask_end();
                }
            }
        }
    }

    fn applied(&mut self, effects: &Applied<'_>) {
        let source = effects.command.source;
        if source < SourceId::FIRST_GATEWAY
            && let Ok(from) = u16::try_from(source.0)
        {
            self.received.push((PartitionId(from), effects.command.number));
        }
        if source == self.shared.source {
            self.sojourn.accepted(effects.command.number, self.begun.elapsed());
        }
        self.way.applied(effects);
        self.sent.extend(effects.outgoing.iter().map(|message| (message.to, message.number)));
        if self.client().partition == Routing::REGISTRY {
            for event in effects.events {
                if let Event::MarketListed(market) = event {
                    self.shared.learn(market);
                }
            }
        }
    }

    fn turned(&mut self, member: &mut Member, events: &mut Events, step: &Step, now: Duration) {
        let client = &self.shared.clients[self.at];
        if let Some(appends) = &member.appends {
            client.offset_micros.store(appends.offset_micros(), Ordering::Relaxed);
        }
        // Before anybody is answered.
        self.way.turned(member.appends.as_ref(), step.began, now);
        if events.commands() > 0 {
            self.sink.publish(events);
        }
        let appended = member.appends.as_ref().map(Appends::tail);
        let tail = step.end.max(appended).unwrap_or_default().max(member.replica.read_up_to());
        if step.applied > 0 || tail.0 != client.tail.load(Ordering::Acquire) {
            self.advance(member.replica.partition().sequence(), tail);
            self.measure(step.applied, now);
        }
        if let Some(end) = step.end {
            for sender in self.ends.drain(..) {
                let _ = sender.send(end);
            }
        }
        self.watch(member, true, now);
        let client = &self.shared.clients[self.at];
        self.sojourn.look(&client.limit, client.under_way(), self.begun.elapsed());
    }

    fn closed(&mut self, refused: Vec<RequestNumber>, why: &Failure) {
        self.shared.close(Some(why.to_string().into()));
        for number in refused {
            (self.refuse)(number, NotAccepted::Closed);
        }
    }

    fn disconnected(&mut self, member: &mut Member, now: Duration) {
        self.ends.clear();
        self.watch(member, false, now);
    }

    /// Its requests and questions wait for the other shard.
    fn refused(&mut self, member: &mut Member, now: Duration) {
        self.busy_since = None;
        self.watch(member, true, now);
    }

    /// The other partitions go on. This one counts as silent until the process is started again.
    fn is_isolated(&mut self) -> bool {
        metrics::counter!("crossbook_partition_isolated_total").increment(1);
        self.client().set_silent(true);
        true
    }

    fn stopping(&mut self) {
        // What was sent before the gateway began to stop, and never appended.
        for inbound in self.requests.try_iter() {
            if let Inbound::Request(request, _) = inbound {
                (self.refuse)(request.number, NotAccepted::Stopping);
            }
        }
    }
}

impl PartitionClient {
    fn set_silent(&self, is_silent: bool) {
        if self.is_silent.swap(is_silent, Ordering::Relaxed) != is_silent {
            let partition = self.partition.0;
            tracing::warn!(partition, is_silent, "the partition has become silent, or progresses again");
        }
    }
}
