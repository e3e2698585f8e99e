//! The registry of subscriptions. Connections add and remove their subscriptions; the feed looks up the subscribers of
//! a stream.
//!
//! There are two locks, always taken in this order: the directory of subscribers, which the feed holds while it puts a
//! message into all their outboxes (a copy of a pointer each), and the [`SubscriptionFilter`] derived from it, which is
//! all that the publisher reads. So the path of an order never waits for a message to many subscribers.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbook_types::{AccountId, ApiKeyId, SymbolId, SymbolName, Timestamp};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::connection_attempts::ConnectionAttempts;
use super::frames::Frames;
use super::outbox::{Closing, Outbox};
use super::payload;
use super::send_budget::SendBudget;
use super::topic::{Kind, Pace, Topic};
use crate::time_unit::TimeUnit;
use crate::user_stream;
use crossbook_gateway::facts::StreamSubscriber;
use crossbook_gateway::limits;
use crossbook_gateway::subscription_filter::{SubscriptionFilter, Wanted};
use listen_keys::ListenKeys;

pub mod listen_keys;
mod membership;
pub use membership::Membership;

/// A connection, for as long as it is open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(u64);

/// What kind of connection it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectionKind {
    /// Public market data.
    Streams,
    /// Requests and user data.
    Api,
}

impl ConnectionKind {
    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::Api => "ws_api",
        }
    }
}

/// The registry of connections and their subscriptions.
#[derive(Debug, Default)]
pub struct Hub {
    /// How often each address has opened a connection lately.
    pub attempts: ConnectionAttempts,
    /// What waits to be read by all connections together.
    pub budget: Arc<SendBudget>,
    directory: Mutex<Directory>,
    interest: RwLock<SubscriptionFilter>,
    next_connection: AtomicU64,
    /// Open connections with times in microseconds.
    in_microseconds: AtomicU64,
}

#[derive(Debug, Default)]
struct Directory {
    symbols: BTreeMap<SymbolName, SymbolId>,
    /// By stream and time unit.
    topics: HashMap<(Topic, TimeUnit), Vec<Listener>>,
    /// Streams that got a subscriber since the feed last asked.
    fresh: Vec<Topic>,
    accounts: HashMap<AccountId, Vec<UserListener>>,
    listen_keys: ListenKeys,
    connections: HashMap<ConnectionId, Connection>,
    /// When it was announced that the venue is about to stop, if it was.
    announced: Option<Timestamp>,
    /// Whether all connections are to close.
    closing: bool,
}

#[derive(Debug)]
struct Connection {
    kind: ConnectionKind,
    unit: TimeUnit,
    /// As [`limits::client`] has it.
    client: IpAddr,
    outbox: Arc<Outbox>,
}

impl Connection {
    /// Tells the client that the venue is about to stop.
    fn announce(&self, at: Timestamp) {
        let raw = payload::server_shutdown(self.unit, at);
        self.outbox.push(match self.kind {
            ConnectionKind::Streams if self.outbox.combined() => payload::combined("!serverShutdown", &raw),
            ConnectionKind::Streams => raw,
            ConnectionKind::Api => format!("{{\"event\":{raw}}}"),
        });
    }
}

#[derive(Debug)]
struct Listener {
    connection: ConnectionId,
    /// The name by which this client asked for the stream.
    name: Arc<str>,
    outbox: Arc<Outbox>,
}

#[derive(Debug)]
struct UserListener {
    connection: ConnectionId,
    under: Under,
    unit: TimeUnit,
    /// With which key the client proved that it may listen.
    key: ApiKeyId,
    outbox: Arc<Outbox>,
}

/// What a client gets the events of an account under.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Under {
    /// A number of its session.
    Subscription(u32),
    /// A listen key, as a stream.
    ListenKey(Arc<str>),
}

/// How an event of an account is wrapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form<'a> {
    Subscription(u32),
    Raw,
    Combined(&'a str),
}

impl Form<'_> {
    fn of(self, event: &str) -> String {
        match self {
            Self::Subscription(number) => user_envelope(number, event),
            Self::Raw => event.to_owned(),
            Self::Combined(name) => payload::combined(name, event),
        }
    }
}

impl UserListener {
    fn form(&self) -> Form<'_> {
        match &self.under {
            Under::Subscription(number) => Form::Subscription(*number),
            Under::ListenKey(name) if self.outbox.combined() => Form::Combined(name),
            Under::ListenKey(_) => Form::Raw,
        }
    }
}

impl Hub {
    /// A hub without connections.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers an open connection from that address, with times in milliseconds.
    pub fn connect(self: &Arc<Self>, kind: ConnectionKind, ip: IpAddr, outbox: Arc<Outbox>) -> Membership {
        self.connect_in(TimeUnit::Milliseconds, kind, ip, outbox)
    }

    /// Registers an open connection from that address, with times in that unit.
    pub fn connect_in(
        self: &Arc<Self>,
        unit: TimeUnit,
        kind: ConnectionKind,
        ip: IpAddr,
        outbox: Arc<Outbox>,
    ) -> Membership {
        if unit == TimeUnit::Microseconds {
            // Before it can subscribe to anything, so that nothing that it is to get is written in the other unit only.
            self.in_microseconds.fetch_add(1, Ordering::AcqRel);
        }
        let id = ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed));
        let connection = Connection { kind, unit, client: limits::client(ip), outbox: Arc::clone(&outbox) };
        {
            let mut directory = self.directory.lock();
            if let Some(at) = directory.announced {
                connection.announce(at);
            }
            if directory.closing {
                outbox.close(Closing::Stopping);
            }
            directory.connections.insert(id, connection);
        }
        metrics::gauge!("crossbook_websocket_connections", "kind" => kind.as_str()).increment(1.0);
        let hub = Arc::clone(self);
        Membership { hub, id, kind, unit, outbox, topics: Vec::new(), accounts: Vec::new(), listen_keys: Vec::new() }
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.directory.lock().connections.len()
    }

    /// Closes the connections of an address, as [`limits::client`] has it, because it is banned.
    pub fn disconnect(&self, client: IpAddr) {
        for connection in self.directory.lock().connections.values().filter(|connection| connection.client == client) {
            connection.outbox.close(Closing::Banned);
        }
    }

    /// Tells all connections, also those that open from now on, that the venue is about to stop. A second time changes
    /// nothing.
    pub fn announce_shutdown(&self, now: Timestamp) {
        let mut directory = self.directory.lock();
        if directory.announced.is_none() {
            directory.announced = Some(now);
            directory.connections.values().for_each(|connection| connection.announce(now));
        }
    }

    /// Asks all connections to close, once they have been informed that the venue is about to stop and their requests
    /// are answered.
    pub fn shut_down(&self, now: Timestamp) {
        self.announce_shutdown(now);
        let mut directory = self.directory.lock();
        directory.closing = true;
        directory.connections.values().for_each(|connection| connection.outbox.close(Closing::Stopping));
    }

    /// The subscribed streams that `chosen` picks.
    pub fn topics(&self, chosen: impl Fn(&Topic) -> bool) -> Vec<Topic> {
        let directory = self.directory.lock();
        let topics = directory.topics.keys().filter(|(topic, unit)| {
            // One that is subscribed to in both units is one stream.
            let is_first =
                *unit == TimeUnit::Milliseconds || !directory.topics.contains_key(&(*topic, TimeUnit::Milliseconds));
            is_first && chosen(topic)
        });
        topics.map(|(topic, _)| *topic).collect()
    }

    /// The streams that got a subscriber since the last call.
    #[must_use]
    pub fn take_fresh(&self) -> Vec<Topic> {
        std::mem::take(&mut self.directory.lock().fresh)
    }

    /// The time units that open connections use. What is encoded before a connection is open is not for it.
    pub fn units(&self) -> impl Iterator<Item = TimeUnit> {
        let both = self.in_microseconds.load(Ordering::Acquire) > 0;
        TimeUnit::ALL.into_iter().filter(move |unit| both || *unit == TimeUnit::Milliseconds)
    }

    /// Passes a payload to every subscriber of the stream, encoded in the unit of each. Without subscribers it is not
    /// encoded. Returns the number of receivers.
    pub fn publish(&self, topic: &Topic, payload: impl Fn(TimeUnit) -> String) -> usize {
        let directory = self.directory.lock();
        let told = TimeUnit::ALL.into_iter().map(|unit| {
            let listeners = directory.topics.get(&(*topic, unit));
            listeners.map_or(0, |listeners| share(listeners, &[payload(unit)]))
        });
        told.sum()
    }

    /// Gives these messages, in this order, to every subscriber of the stream in that unit. Returns how many messages
    /// that made.
    pub fn publish_all(&self, topic: &Topic, unit: TimeUnit, payloads: &[String]) -> usize {
        let directory = self.directory.lock();
        directory.topics.get(&(*topic, unit)).map_or(0, |listeners| share(listeners, payloads))
    }

    /// Gives an event of an account to every subscription of it, each in its own form. Returns how many got it.
    pub fn publish_account(&self, account: AccountId, event: impl Fn(TimeUnit) -> String) -> usize {
        let directory = self.directory.lock();
        let Some(listeners) = directory.accounts.get(&account) else { return 0 };
        let mut last: Option<(Form<'_>, TimeUnit, Frames)> = None;
        for listener in listeners {
            let (form, unit) = (listener.form(), listener.unit);
            let message = match &last {
                Some((known, of, frames)) if (*known, *of) == (form, unit) => frames.clone(),
                _ => {
                    let frames = Frames::from(form.of(&event(unit)));
                    last = Some((form, unit, frames.clone()));
                    frames
                }
            };
            listener.outbox.push(message);
        }
        listeners.len()
    }

    /// Ends the subscriptions to the account that were made with a key, now that the key is not valid any more.
    pub fn key_revoked(&self, account: AccountId, key: ApiKeyId, now: Timestamp) {
        let mut directory = self.directory.lock();
        directory.listen_keys.end(|_, owner| owner.key == key);
        self.end_subscriptions(&mut directory, account, |listener| {
            (listener.key == key).then(|| listener.form().of(&user_stream::terminated(listener.unit, now)))
        });
    }

    /// Ends the subscriptions to an account for which `last` has a last message.
    fn end_subscriptions(
        &self,
        directory: &mut Directory,
        account: AccountId,
        last: impl Fn(&UserListener) -> Option<String>,
    ) {
        let Some(listeners) = directory.accounts.get_mut(&account) else { return };
        let before = listeners.len();
        listeners.retain(|listener| {
            let last = last(listener);
            let stays = last.is_none();
            last.into_iter().for_each(|text| listener.outbox.push(text));
            stays
        });
        self.left(directory, account, before);
    }

    /// Draws the consequences of listeners leaving an account that had `before` of them.
    fn left(&self, directory: &mut Directory, account: AccountId, before: usize) {
        let now = directory.accounts.get(&account).map_or(0, Vec::len);
        if now == 0 {
            directory.accounts.remove(&account);
        }
        let mut interest = self.interest.write();
        for _ in now..before {
            interest.remove_account(account);
            subscriptions("user").decrement(1.0);
        }
    }

    /// Recomputes the interest in a market. The directory's lock is held, so that the last to compute has seen the last
    /// change.
    fn redraw(&self, directory: &Directory, name: SymbolName) {
        let Some(&symbol) = directory.symbols.get(&name) else { return };
        let wanted = [
            (Kind::Trade, Wanted::TRADES),
            (Kind::AggregateTrade, Wanted::AGGREGATES),
            (Kind::BookTicker, Wanted::BOOK_TICKER),
            (Kind::Status, Wanted::STATUS),
            (Kind::DepthChanges(Pace::Fast), Wanted::DEPTH_FAST),
            (Kind::DepthChanges(Pace::Slow), Wanted::DEPTH_SLOW),
        ]
        .into_iter()
        .filter(|(kind, _)| {
            let topic = Topic::Market(name, *kind);
            TimeUnit::ALL.into_iter().any(|unit| directory.topics.contains_key(&(topic, unit)))
        })
        .fold(Wanted::NOTHING, |sum, (_, wanted)| sum.and(wanted));
        self.interest.write().set_market(symbol, wanted);
    }
}

impl StreamSubscriber for Hub {
    fn interest(&self) -> RwLockReadGuard<'_, SubscriptionFilter> {
        self.interest.read()
    }

    fn market_listed(&self, name: SymbolName, symbol: SymbolId) {
        let mut directory = self.directory.lock();
        directory.symbols.insert(name, symbol);
        self.redraw(&directory, name);
    }
}

/// Frames messages once, and once more for each name that they are wrapped under, and puts them into the outboxes of
/// all listeners. Returns how many messages that made.
fn share(listeners: &[Listener], payloads: &[String]) -> usize {
    let mut raw: Option<Vec<Frames>> = None;
    let mut combined: Vec<(&str, Vec<Frames>)> = Vec::new();
    for listener in listeners {
        let frames = if listener.outbox.combined() {
            let known = combined.iter().position(|(name, _)| **name == *listener.name);
            let at = known.unwrap_or_else(|| {
                let wrapped: Vec<_> = payloads.iter().map(|text| payload::combined(&listener.name, text)).collect();
                combined.push((&listener.name, Frames::parts_of(&wrapped)));
                combined.len() - 1
            });
            &combined[at].1
        } else {
            raw.get_or_insert_with(|| Frames::parts_of(payloads))
        };
        listener.outbox.push_all(frames);
    }
    listeners.len() * payloads.len()
}

/// An event of an account as it is sent under a subscription.
#[must_use]
pub fn user_envelope(subscription: u32, event: &str) -> String {
    format!("{{\"subscriptionId\":{subscription},\"event\":{event}}}")
}

fn subscriptions(kind: &'static str) -> metrics::Gauge {
    metrics::gauge!("crossbook_stream_subscriptions", "kind" => kind)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    pub fn join(hub: &Arc<Hub>, combined: bool) -> Membership {
        hub.connect(ConnectionKind::Streams, HOME, Outbox::new(&hub.budget, 1_000, combined))
    }

    pub fn received(member: &Membership) -> Vec<String> {
        member.outbox().taken()
    }

    fn topic(name: &str) -> Topic {
        Topic::parse(name).unwrap()
    }

    #[test]
    fn a_payload_reaches_its_subscribers_and_is_not_written_for_nobody() {
        let hub = Arc::new(Hub::new());
        let trades = topic("btcusdt@trade");
        assert_eq!(hub.publish(&trades, |_| panic!("written for nobody")), 0);
        let (mut raw, mut combined, other) = (join(&hub, false), join(&hub, true), join(&hub, false));
        raw.subscribe(trades, "btcusdt@trade");
        raw.subscribe(trades, "btcusdt@trade");
        combined.subscribe(trades, "btcusdt@trade");
        assert_eq!(hub.publish(&trades, |_| "{}".into()), 2);
        assert_eq!(hub.publish_all(&trades, TimeUnit::default(), &["1".into(), "2".into()]), 4);
        assert_eq!(received(&raw), ["{}", "1", "2"]);
        assert_eq!(
            received(&combined),
            ["{}", "1", "2"].map(|data| format!(r#"{{"stream":"btcusdt@trade","data":{data}}}"#))
        );
        assert!(received(&other).is_empty());
        drop(combined);
        raw.unsubscribe("btcusdt@trade");
        assert_eq!(hub.publish(&trades, |_| panic!("written for nobody")), 0);
    }

    #[test]
    fn a_stream_is_told_under_each_name_that_it_was_subscribed_to_by() {
        let hub = Arc::new(Hub::new());
        let mut members = [true, false, true].map(|combined| join(&hub, combined));
        let depth = topic("btcusdt@depth");
        for member in &mut members {
            for name in ["btcusdt@depth", "btcusdt@depth@1000ms", "btcusdt@depth"] {
                member.subscribe(depth, name);
            }
        }
        assert_eq!(hub.publish(&depth, |_| "{}".into()), 6);
        let both =
            ["btcusdt@depth", "btcusdt@depth@1000ms"].map(|name| format!(r#"{{"stream":"{name}","data":{{}}}}"#));
        assert_eq!((received(&members[0]), received(&members[2])), (both.to_vec(), both.to_vec()));
        assert_eq!(received(&members[1]), ["{}", "{}"]);
        members[0].unsubscribe("btcusdt@depth");
        hub.publish(&depth, |_| "{}".into());
        assert_eq!(received(&members[0]), both[1..]);
        drop(members);
        assert!(hub.topics(|_| true).is_empty());
    }

    #[test]
    fn interest_follows_subscriptions_even_to_markets_listed_later() {
        let hub = Arc::new(Hub::new());
        let mut member = join(&hub, false);
        member.subscribe(topic("btcusdt@depth@100ms"), "btcusdt@depth@100ms");
        assert!(!hub.interest().market(SymbolId(3)).any(Wanted::DEPTH));
        hub.market_listed(SymbolName::new_checked("BTCUSDT").unwrap(), SymbolId(3));
        assert!(hub.interest().market(SymbolId(3)).any(Wanted::DEPTH_FAST));
        member.subscribe(topic("btcusdt@trade"), "btcusdt@trade");
        assert!(hub.interest().market(SymbolId(3)).any(Wanted::TRADES));
        drop(member);
        assert_eq!(hub.interest().market(SymbolId(3)), Wanted::NOTHING);
    }

    #[test]
    fn events_of_an_account_reach_only_its_subscriptions_and_after_the_answer() {
        let hub = Arc::new(Hub::new());
        let (mut mine, mut theirs) = (join(&hub, false), join(&hub, false));
        mine.subscribe_account(AccountId(1001), key("mine"), 0, "answer".into());
        theirs.subscribe_account(AccountId(1002), key("theirs"), 7, "answer".into());
        assert_eq!(hub.publish_account(AccountId(1001), |_| "{}".into()), 1);
        assert_eq!(received(&mine), ["answer", r#"{"subscriptionId":0,"event":{}}"#]);
        assert_eq!(received(&theirs), ["answer"]);
        assert!(!mine.unsubscribe_account(7));
        assert!(mine.unsubscribe_account(0));
        assert!(!hub.interest().account(AccountId(1001)));
        assert!(hub.interest().account(AccountId(1002)));
        assert_eq!(hub.publish_account(AccountId(1001), |_| panic!("written for nobody")), 0);
    }

    pub fn key(name: &str) -> ApiKeyId {
        ApiKeyId::new_checked(name).unwrap()
    }

    #[test]
    fn a_revoked_key_hears_nothing_more() {
        let hub = Arc::new(Hub::new());
        let mut member = join(&hub, false);
        member.subscribe_account(AccountId(1001), key("old"), 0, "answer".into());
        member.subscribe_account(AccountId(1001), key("new"), 1, "answer".into());
        hub.key_revoked(AccountId(1001), key("old"), Timestamp::from_millis(5));
        hub.publish_account(AccountId(1001), |_| "{}".into());
        let ended = r#"{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":5}}"#;
        assert_eq!(received(&member), ["answer", "answer", ended, r#"{"subscriptionId":1,"event":{}}"#]);
        assert!(hub.interest().account(AccountId(1001)));
        assert!(!member.unsubscribe_account(0), "it has ended before");
        hub.key_revoked(AccountId(1001), key("new"), Timestamp::from_millis(6));
        assert_eq!(member.accounts(), [(1, AccountId(1001))]);
        member.subscribe_account(AccountId(1002), key("other"), 2, "answer".into());
        member.subscribe_account(AccountId(1001), key("newest"), 3, "answer".into());
        member.forget_ended();
        assert_eq!(member.accounts(), [(2, AccountId(1002)), (3, AccountId(1001))]);
        assert!(member.unsubscribe_account(2));
        drop(member);
        assert!(!hub.interest().account(AccountId(1001)));
    }

    #[test]
    fn everyone_is_told_that_the_venue_stops() {
        let hub = Arc::new(Hub::new());
        let (raw, combined) = (join(&hub, false), join(&hub, true));
        hub.shut_down(Timestamp::from_millis(5));
        assert_eq!(received(&raw), [r#"{"e":"serverShutdown","E":5}"#]);
        assert_eq!(received(&combined), [r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":5}}"#]);
        assert_eq!(raw.outbox().closing(), Some(Closing::Stopping));
    }

    #[test]
    fn whoever_comes_while_the_venue_is_about_to_stop_is_told_so_too() {
        let hub = Arc::new(Hub::new());
        let early = join(&hub, false);
        hub.announce_shutdown(Timestamp::from_millis(5));
        let late = join(&hub, false);
        hub.announce_shutdown(Timestamp::from_millis(6));
        for member in [&early, &late] {
            assert_eq!(received(member), [r#"{"e":"serverShutdown","E":5}"#]);
            assert_eq!(member.outbox().closing(), None);
        }
        hub.shut_down(Timestamp::from_millis(7));
        let last = join(&hub, false);
        assert!([&early, &late, &last].iter().all(|member| member.outbox().closing() == Some(Closing::Stopping)));
    }

    #[test]
    fn a_banned_address_is_disconnected_and_nobody_else() {
        let hub = Arc::new(Hub::new());
        let from =
            |ip: &str| hub.connect(ConnectionKind::Api, ip.parse().unwrap(), Outbox::new(&hub.budget, 10, false));
        let (banned, also, other) = (from("2001:db8::1"), from("2001:db8::2"), from("2001:db8:0:1::1"));
        hub.disconnect(limits::client("2001:db8::3".parse().unwrap()));
        assert_eq!([&banned, &also].map(|member| member.outbox().closing()), [Some(Closing::Banned); 2]);
        assert_eq!(other.outbox().closing(), None);
    }
}
