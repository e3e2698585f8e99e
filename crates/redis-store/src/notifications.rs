//! Notifications of new commands: messages on a channel of each partition, which a thread receives, so that any number
//! of them that come while their user does something else are one.
//!
//! In a cluster a server passes on what is published in its shard to the shard's other servers, so a subscription
//! outlives a failover if its server does. A message holds the identity of its sender, who ignores it.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbook_cluster::store::{Failure, Subscription};
use crossbook_types::PartitionId;
use redis::{PushKind, Value};

use crate::connection::Connection;
use crate::{Error, Servers, reply};

/// A message that took so long was waited for.
const WAITED_MIN: Duration = Duration::from_micros(100);

/// A subscription to the notifications of some partitions of a shard.
pub struct Notifications {
    server: String,
    news: Arc<News>,
}

/// What the thread that receives has for the one that waits.
#[derive(Default)]
struct News {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    has_come: bool,
    has_ended: bool,
    /// Why it has ended, until it is told.
    error: Option<Error>,
}

impl Notifications {
    pub(crate) fn subscribe(servers: &Servers, partitions: &[PartitionId], rest: Duration) -> Result<Self, Error> {
        // Those that have moved are not where most of them are.
        let Some(here) = servers.by_master(partitions)?.into_iter().max_by_key(Vec::len) else {
            return Err(Error::Options("a subscription needs a partition at least".to_owned()));
        };
        let mut connection = servers.connect_for_pushes(here[0])?;
        let channels: Vec<_> = here.iter().map(|&partition| servers.keys(partition).channel).collect();
        let (news, server) = (Arc::new(News::default()), connection.server().to_owned());
        let patience = servers.options().reply_timeout();
        let mut receiver = Receiver { own: servers.id(), channel: channels[0].clone(), patience, rest };
        // One by one: they are in different slots.
        for channel in &channels {
            connection.command(|command| command.arg("SSUBSCRIBE").arg(channel));
        }
        connection.send()?;
        let confirmed = receiver.confirm(&mut connection, &channels, &news);
        if confirmed.as_ref().is_err_and(Error::doubts_the_map) {
            servers.forget();
        }
        confirmed?;
        let (user, forgetting) = (Arc::downgrade(&news), servers.clone());
        let run = move || {
            let error = receiver.run(&mut connection, &user);
            if error.as_ref().is_some_and(Error::doubts_the_map) {
                forgetting.forget();
            }
            if let Some(news) = user.upgrade() {
                news.tell(|state| (state.has_ended, state.error) = (true, error));
            }
        };
        let started = thread::Builder::new().name("notifications".to_owned()).spawn(run);
        match started {
            Ok(_) => Ok(Self { server, news }),
            Err(error) => Err(Error::Lost { server, source: error.into() }),
        }
    }
}

impl Subscription for Notifications {
    fn wait(&mut self, timeout: Duration) -> Result<bool, Failure> {
        let state = self.news.state();
        let waited = self.news.changed.wait_timeout_while(state, timeout, |state| !state.has_come && !state.has_ended);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.has_come) {
            return Ok(true);
        }
        if !state.has_ended {
            return Ok(false);
        }
        let ended = || Error::Moved { server: self.server.clone(), said: "the subscription has ended".to_owned() };
        Err(state.error.take().unwrap_or_else(ended).into())
    }
}

impl News {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        let nothing_yet = !state.has_come && !state.has_ended;
        change(&mut state);
        if nothing_yet {
            self.changed.notify_one();
        }
    }
}

/// What has come from the server.
enum Event {
    News,
    Subscribed,
    Other,
}

struct Receiver {
    /// The identity of the process.
    own: u64,
    /// One of the channels, to see whether the server is there.
    channel: String,
    patience: Duration,
    /// The pause after a notification.
    rest: Duration,
}

impl Receiver {
    /// Waits until all subscriptions are answered. Those to partitions that are elsewhere are left out, if one is here.
    fn confirm(&mut self, connection: &mut Connection, channels: &[String], news: &News) -> Result<(), Error> {
        let (mut here, mut elsewhere) = (None, None);
        let mut due = channels.iter();
        while !due.as_slice().is_empty() {
            match self.receive(connection) {
                Ok(Some(Event::Subscribed)) => here = due.next(),
                Ok(Some(Event::News)) => news.tell(|state| state.has_come = true),
                Ok(Some(Event::Other)) => {}
                Ok(None) => return Err(connection.silent()),
                Err(error @ Error::Elsewhere { .. }) => {
                    elsewhere = Some(error);
                    due.next();
                }
                Err(error) => return Err(error),
            }
        }
        match (here, elsewhere) {
            (Some(channel), _) => self.channel.clone_from(channel),
            (None, Some(error)) => return Err(error),
            (None, None) => {}
        }
        Ok(())
    }

    /// Receives until the connection is lost, or nobody wants to know any more.
    fn run(&mut self, connection: &mut Connection, news: &Weak<News>) -> Option<Error> {
        let mut asked = false;
        loop {
            let begun = Instant::now();
            match self.receive(connection) {
                Err(error) => return Some(error),
                Ok(None) if asked => return Some(connection.silent()),
                Ok(None) => {
                    // The server answers a second subscription too.
                    news.upgrade()?;
                    connection.command(|command| command.arg("SSUBSCRIBE").arg(&self.channel));
                    if let Err(error) = connection.send() {
                        return Some(error);
                    }
                    asked = true;
                }
                Ok(Some(event)) => {
                    asked = false;
                    let news = news.upgrade()?;
                    if matches!(event, Event::News) {
                        news.tell(|state| state.has_come = true);
                        drop(news);
                        // Those that wait already are taken at once, so that none pile up at the server.
                        if begun.elapsed() >= WAITED_MIN {
                            thread::sleep(self.rest);
                        }
                    }
                }
            }
        }
    }

    fn receive(&mut self, connection: &mut Connection) -> Result<Option<Event>, Error> {
        let event = match connection.receive(self.patience)? {
            None => return Ok(None),
            Some(Value::ServerError(error)) => return Err(Error::of_server(connection.server(), &error)),
            Some(Value::Push { kind: PushKind::SMessage, data }) => {
                let sender = data.get(1).and_then(reply::number);
                if sender == Some(self.own) { Event::Other } else { Event::News }
            }
            Some(Value::Push { kind: PushKind::SSubscribe, .. }) => Event::Subscribed,
            Some(Value::Push { kind: PushKind::SUnsubscribe, .. }) => {
                let (server, said) = (connection.server().to_owned(), "a slot has moved".to_owned());
                return Err(Error::Moved { server, said });
            }
            Some(_) => Event::Other,
        };
        Ok(Some(event))
    }
}

impl fmt::Debug for Notifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifications").field("server", &self.server).finish_non_exhaustive()
    }
}
