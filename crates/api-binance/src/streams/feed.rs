//! The thread that turns facts into messages, one for all partitions. Publishers pass it the facts that have
//! subscribers. It sends real-time streams at once, and the others at their intervals, read from the views. It never
//! waits for a client: it puts a message into the outboxes of its subscribers, and a client that does not read is
//! disconnected. So only its own work limits it; if that is ever too slow, the publishers wait for it, and orders queue
//! up to the bound at which they are refused.
//!
//! Everything that has queued for it is sent at once: the messages of one stream are framed together and put into each
//! outbox once. So the busier it is, the less each message costs. Messages keep their order within a stream; between
//! streams there is no order.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use crossbook_gateway::ReadModel;
use crossbook_gateway::clock::now;
use crossbook_gateway::facts::{Batch, Fact, StreamSubscriber as _};
use crossbook_gateway::subscription_filter::Wanted;
use crossbook_node::embedded::guarded;
use crossbook_protocol::event::DepthChanged;
use crossbook_types::{Asset, Market, SymbolId, Timestamp};
use crossbook_views::Balance;

use super::depth_update::CoalescedDepth;
use super::hub::Hub;
use super::payload;
use super::periodic::Periodic;
use super::topic::{Kind, Pace, Topic};
use crate::time_unit::TimeUnit;
use crate::user_stream::{self, Names};

/// Batches that may wait for the feed.
pub const BATCHES_MAX: usize = 256;
/// Messages that are collected before they are sent, even if more batches wait.
const GATHERED_MAX: usize = 256;
/// The pace of the fastest streams.
const TICK: Duration = Duration::from_millis(100);
/// Ticks between two messages of the slow streams.
const TICKS_PER_SECOND: u64 = 10;

/// Starts the feed. It ends when the sender is dropped. `fatal` is called with the reason when it cannot continue; it
/// should end the process, as otherwise all streams would stop without a notice.
///
/// # Errors
/// When the system cannot start a thread.
pub fn spawn(
    hub: Arc<Hub>,
    read_model: Arc<ReadModel>,
    fatal: impl Fn(String) + Send + 'static,
) -> std::io::Result<(Sender<Batch>, JoinHandle<()>)> {
    let mut feed = Feed::new(hub, read_model);
    on_thread(fatal, move |batches| feed.run(batches))
}

fn on_thread(
    fatal: impl Fn(String) + Send + 'static,
    work: impl FnOnce(&Receiver<Batch>) + Send + 'static,
) -> std::io::Result<(Sender<Batch>, JoinHandle<()>)> {
    let (sender, receiver) = crossbeam_channel::bounded(BATCHES_MAX);
    let thread = std::thread::Builder::new().name("feed".into()).spawn(move || {
        guarded("the feed thread", &fatal, || {
            work(&receiver);
            Ok::<_, Infallible>(())
        });
    })?;
    Ok((sender, thread))
}

struct Feed {
    hub: Arc<Hub>,
    catalogue: Catalogue,
    /// What is sent next.
    round: Round,
    /// By market: changes of depth for the fast and for the slow stream.
    depth: Vec<[CoalescedDepth; 2]>,
    periodic: Periodic,
    ticks: u64,
}

/// Messages of real-time streams, and the times of the batches that they are from.
#[derive(Default)]
struct Round {
    /// By stream and the unit of its times, in order.
    streams: Vec<((Topic, TimeUnit), Vec<String>)>,
    places: HashMap<(Topic, TimeUnit), usize>,
    messages: usize,
    times: Vec<Timestamp>,
}

impl Round {
    fn add(&mut self, stream: (Topic, TimeUnit), text: String) {
        let place = *self.places.entry(stream).or_insert_with(|| {
            self.streams.push((stream, Vec::new()));
            self.streams.len() - 1
        });
        self.streams[place].1.push(text);
        self.messages += 1;
    }
}

/// Markets and assets by number, cached here so that writing a message takes no lock.
#[derive(Default)]
struct Catalogue {
    assets: Vec<Asset>,
    markets: Vec<Market>,
}

impl Names for Catalogue {
    fn market(&self, symbol: SymbolId) -> Option<&Market> {
        self.markets.get(symbol.0 as usize)
    }

    fn asset_of(&self, balance: &Balance) -> Option<&Asset> {
        self.assets.get(balance.asset.0 as usize)
    }
}

impl Feed {
    fn new(hub: Arc<Hub>, read_model: Arc<ReadModel>) -> Self {
        let catalogue = {
            let registry = read_model.registry();
            Catalogue { assets: registry.assets().to_vec(), markets: registry.markets().to_vec() }
        };
        for market in &catalogue.markets {
            hub.market_listed(market.symbol, market.id);
        }
        let periodic = Periodic::new(Arc::clone(&hub), read_model);
        Self { hub, catalogue, round: Round::default(), depth: Vec::new(), periodic, ticks: 0 }
    }

    fn run(&mut self, batches: &Receiver<Batch>) {
        let mut next_tick = Instant::now() + TICK;
        loop {
            match batches.recv_deadline(next_tick) {
                Ok(batch) => {
                    self.take(batch);
                    while self.round.messages < GATHERED_MAX
                        && self.round.times.len() < BATCHES_MAX
                        && let Ok(batch) = batches.try_recv()
                    {
                        self.take(batch);
                    }
                    self.publish();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // Asked after every round too: a feed that is never idle must still tick.
            let now = Instant::now();
            if now >= next_tick {
                self.tick();
                next_tick = (next_tick + TICK).max(now);
            }
        }
    }

    /// Processes a batch: events of accounts are sent at once, those with many subscribers are coalesced.
    fn take(&mut self, batch: Batch) {
        let mut sent = 0;
        for fact in &batch.public {
            self.take_fact(fact);
        }
        for (account, event) in &batch.private {
            let catalogue = &self.catalogue;
            sent += self
                .hub
                .publish_account(*account, |unit| user_stream::write(event, unit, catalogue).unwrap_or_default());
        }
        count_sent(sent);
        self.round.times.push(batch.time);
    }

    /// Tells what was gathered.
    fn publish(&mut self) {
        let Round { streams, times, .. } = std::mem::take(&mut self.round);
        count_sent(streams.iter().map(|((topic, unit), payloads)| self.hub.publish_all(topic, *unit, payloads)).sum());
        for time in times {
            metrics::histogram!("crossbook_stream_lag_seconds").record(lag(time));
        }
    }

    fn take_fact(&mut self, fact: &Fact) {
        match fact {
            Fact::Asset(asset) => place(&mut self.catalogue.assets, asset.id.0, *asset),
            Fact::Market(market) => place(&mut self.catalogue.markets, market.id.0, **market),
            Fact::MarketFollowed(market) => {
                if self.catalogue.markets.get(market.id.0 as usize).is_none() {
                    place(&mut self.catalogue.markets, market.id.0, **market);
                }
            }
            Fact::KeyRevoked(account, key) => self.hub.key_revoked(*account, *key, now()),
            Fact::Trade(symbol, trade) => {
                self.add(*symbol, Kind::Trade, |market, unit| payload::trade(market, unit, trade))
            }
            Fact::Aggregate(symbol, trade) => {
                self.add(*symbol, Kind::AggregateTrade, |market, unit| payload::aggregate_trade(market, unit, trade));
            }
            Fact::BookTicker(symbol, best) => {
                self.add(*symbol, Kind::BookTicker, |market, _| payload::book_ticker(market, best));
            }
            Fact::Depth(change) => self.gather(change),
            Fact::Status(symbol, status) => {
                self.add(*symbol, Kind::Status, |market, unit| payload::status(market, unit, status));
            }
        }
    }

    fn add(&mut self, symbol: SymbolId, kind: Kind, write: impl Fn(&Market, TimeUnit) -> String) {
        if let Some(market) = self.catalogue.markets.get(symbol.0 as usize) {
            for unit in self.hub.units() {
                self.round.add((Topic::Market(market.symbol, kind), unit), write(market, unit));
            }
        }
    }

    fn gather(&mut self, change: &DepthChanged) {
        let at = change.symbol.0 as usize;
        if at >= self.depth.len() {
            self.depth.resize_with(at + 1, Default::default);
        }
        let wanted = self.hub.interest().market(change.symbol);
        let [fast, slow] = &mut self.depth[at];
        if wanted.any(Wanted::DEPTH_FAST) {
            fast.add(change);
        }
        if wanted.any(Wanted::DEPTH_SLOW) {
            slow.add(change);
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        let now = now();
        let second = self.ticks.is_multiple_of(TICKS_PER_SECOND);
        let mut sent = self.publish_depth(Pace::Fast, now);
        if second {
            self.hub.expire_listen_keys(now);
            sent += self.publish_depth(Pace::Slow, now);
        }
        sent += self.periodic.tick(now, second.then_some(self.ticks / TICKS_PER_SECOND));
        count_sent(sent);
    }

    fn publish_depth(&mut self, pace: Pace, now: Timestamp) -> usize {
        let which = match pace {
            Pace::Fast => 0,
            Pace::Slow => 1,
        };
        let mut sent = 0;
        for (market, gathered) in self.catalogue.markets.iter().zip(&mut self.depth) {
            let gathered = &mut gathered[which];
            let Some(range) = gathered.range() else { continue };
            sent += self.hub.publish(&Topic::Market(market.symbol, Kind::DepthChanges(pace)), |unit| {
                payload::depth_changes(market, unit, now, range, gathered.bids(), gathered.asks())
            });
            gathered.clear();
        }
        sent
    }
}

/// Stores an entry at its number. Each partition publishes them in order, so an entry that would leave a gap will be
/// repeated by a partition that is behind.
fn place<T>(things: &mut Vec<T>, number: u32, thing: T) {
    match number as usize {
        at if at < things.len() => things[at] = thing,
        at if at == things.len() => things.push(thing),
        _ => {}
    }
}

fn count_sent(messages: usize) {
    if messages > 0 {
        metrics::counter!("crossbook_stream_messages_total").increment(messages as u64);
    }
}

/// Seconds from a command's time to now.
fn lag(time: Timestamp) -> f64 {
    Duration::from_micros(now().0.saturating_sub(time.0)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::hub::ConnectionKind;
    use crate::streams::outbox::Outbox;
    use crate::streams::payload::tests::btcusdt;
    use crossbook_gateway::Pending;
    use crossbook_gateway::facts::Subscribers;
    use crossbook_gateway::publisher::Publisher;
    use crossbook_node::EventSink as _;
    use crossbook_protocol::{Cause, Event, Events};
    use crossbook_types::{PartitionId, Sequence};
    use crossbook_views::{BookTicker, Limits, Views};
    use std::sync::mpsc;

    #[test]
    fn what_waits_is_told_in_one_go_and_each_stream_in_order() {
        let hub = Arc::new(Hub::new());
        let mut feed = Feed::new(Arc::clone(&hub), Arc::new(ReadModel::single(Views::new(Limits::default()))));
        let market = btcusdt();
        let outbox = Outbox::new(&hub.budget, 10_000, false);
        let mut member = hub.connect(ConnectionKind::Streams, [127, 0, 0, 1].into(), outbox);
        for name in ["btcusdt@bookTicker", "btcusdt@aggTrade"] {
            member.subscribe(Topic::parse(name).unwrap(), name);
        }
        let best = |update| Fact::BookTicker(market.id, BookTicker { update, bid: None, ask: None });
        let told = |time: u64, public| Batch { time: Timestamp(time), public, private: Vec::new() };
        feed.take(told(1, vec![Fact::Market(Box::new(market)), best(1), best(2)]));
        feed.take(told(2, vec![best(3)]));
        feed.publish();
        let updates: Vec<_> = member.outbox().taken().iter().map(|text| text[..6].to_owned()).collect();
        assert_eq!(updates, [r#"{"u":1"#, r#"{"u":2"#, r#"{"u":3"#]);
        feed.publish();
        assert!(member.outbox().taken().is_empty(), "told once");
    }

    #[test]
    fn a_panic_is_fatal_and_an_end_is_not() {
        let (told, fatal) = mpsc::channel();
        let tell = move |reason| told.send(reason).unwrap();
        let (sender, thread) = on_thread(tell.clone(), |batches| {
            let batch = batches.recv().unwrap();
            panic!("a batch of {} facts", batch.public.len());
        })
        .unwrap();
        sender.send(Batch::default()).unwrap();
        thread.join().unwrap();
        assert_eq!(fatal.recv().unwrap(), "the feed thread panicked: a batch of 0 facts");

        let read_model = Arc::new(ReadModel::single(Views::new(Limits::default())));
        let (sender, thread) = spawn(Arc::new(Hub::new()), read_model, tell).unwrap();
        sender.send(Batch::default()).unwrap();
        drop(sender);
        thread.join().unwrap();
        assert_eq!(fatal.recv(), Err(mpsc::RecvError), "nothing to tell, and nobody left who could");
    }

    #[test]
    fn a_market_can_be_subscribed_to_before_the_feed_has_heard_of_it() {
        let read_model = Arc::new(ReadModel::single(Views::new(Limits::default())));
        let hub = Arc::new(Hub::new());
        // Nobody receives from it, so publishers do not wait for the feed.
        let (facts, _waiting) = crossbeam_channel::bounded(1);
        let subscribers = Subscribers { streams: hub.clone(), facts, fills: Vec::new() };
        let mut publisher = Publisher::new(PartitionId(0), &read_model, Arc::new(Pending::new(1)), subscribers);
        let market = btcusdt();
        let mut events = Events::new();
        let cause = Cause { sequence: Sequence(1), time: Timestamp(1) };
        let listed = [market.base, market.quote].map(Event::AssetListed).into_iter();
        events.add_command(cause, listed.chain([Event::MarketListed(Box::new(market))]));
        publisher.publish(&mut events);
        let mut member =
            hub.connect(ConnectionKind::Streams, [127, 0, 0, 1].into(), Outbox::new(&hub.budget, 1_000, false));
        member.subscribe(Topic::parse("btcusdt@trade").unwrap(), "btcusdt@trade");
        assert!(hub.interest().market(market.id).any(Wanted::TRADES));
    }
}
