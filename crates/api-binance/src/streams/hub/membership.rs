//! The subscriptions of one connection: it enters and leaves them here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbook_types::{AccountId, ApiKeyId};

use super::super::frames::Frames;
use super::super::outbox::Outbox;
use super::super::topic::Topic;
use super::{ConnectionId, ConnectionKind, Directory, Hub, Listener, Under, UserListener, subscriptions};
use crate::time_unit::TimeUnit;

/// A connection's place in the hub. Dropping it ends all its subscriptions.
#[derive(Debug)]
pub struct Membership {
    pub(super) hub: Arc<Hub>,
    pub(super) id: ConnectionId,
    pub(super) kind: ConnectionKind,
    pub(super) unit: TimeUnit,
    pub(super) outbox: Arc<Outbox>,
    /// Streams, by the names under which the client subscribed to them; one stream may have several.
    pub(super) topics: Vec<(Topic, Arc<str>)>,
    pub(super) accounts: Vec<(u32, AccountId)>,
    pub(super) listen_keys: Vec<(Arc<str>, AccountId)>,
}

impl Membership {
    /// What waits to be sent to the connection.
    #[must_use]
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Subscribes to a stream under a name; its messages come once under each. The same name twice is as good as once.
    pub fn subscribe(&mut self, topic: Topic, name: &str) {
        if self.topics.iter().any(|(_, known)| **known == *name) {
            return;
        }
        let name: Arc<str> = name.into();
        self.topics.push((topic, Arc::clone(&name)));
        let mut directory = self.hub.directory.lock();
        directory.topics.entry((topic, self.unit)).or_default().push(Listener {
            connection: self.id,
            name,
            outbox: Arc::clone(&self.outbox),
        });
        if !directory.fresh.contains(&topic) {
            directory.fresh.push(topic);
        }
        if let Topic::Market(symbol, _) = topic {
            self.hub.redraw(&directory, symbol);
        }
        subscriptions("market").increment(1.0);
    }

    /// Ends a subscription under a name. Without one, nothing happens.
    pub fn unsubscribe(&mut self, name: &str) {
        let Some(at) = self.topics.iter().position(|(_, known)| **known == *name) else { return };
        let (topic, name) = self.topics.swap_remove(at);
        self.leave(topic, &name);
    }

    fn leave(&self, topic: Topic, name: &str) {
        let mut directory = self.hub.directory.lock();
        if let Some(listeners) = directory.topics.get_mut(&(topic, self.unit)) {
            listeners.retain(|listener| listener.connection != self.id || *listener.name != *name);
            if listeners.is_empty() {
                directory.topics.remove(&(topic, self.unit));
            }
        }
        if let Topic::Market(symbol, _) = topic {
            self.hub.redraw(&directory, symbol);
        }
        subscriptions("market").decrement(1.0);
    }

    /// Subscribes to an account's events under a number of the client's session. `answer` is sent before any event, and
    /// every command whose effect is published after this returns has its events sent.
    pub fn subscribe_account(&mut self, account: AccountId, key: ApiKeyId, subscription: u32, answer: Frames) {
        self.accounts.push((subscription, account));
        let mut directory = self.hub.directory.lock();
        self.listen(&mut directory, account, key, Under::Subscription(subscription), Some(answer));
    }

    fn listen(
        &self,
        directory: &mut Directory,
        account: AccountId,
        key: ApiKeyId,
        under: Under,
        answer: Option<Frames>,
    ) {
        // The order matters. Events are gathered from here on; they cannot be handed out before the directory's lock is
        // released.
        self.hub.interest.write().add_account(account);
        answer.into_iter().for_each(|answer| self.outbox.push(answer));
        let (connection, unit, outbox) = (self.id, self.unit, Arc::clone(&self.outbox));
        directory.accounts.entry(account).or_default().push(UserListener { connection, under, unit, key, outbox });
        subscriptions("user").increment(1.0);
    }

    /// Subscribes to the account that a listen key stands for. Returns whether there is such a listen key; the same
    /// twice is as good as once.
    pub fn subscribe_listen_key(&mut self, name: &str) -> bool {
        let hub = Arc::clone(&self.hub);
        let mut directory = hub.directory.lock();
        let Some(owner) = directory.listen_keys.find(name) else { return false };
        if !self.listen_keys.iter().any(|(known, _)| **known == *name) {
            let name: Arc<str> = name.into();
            self.listen_keys.push((Arc::clone(&name), owner.account));
            self.listen(&mut directory, owner.account, owner.key, Under::ListenKey(name), None);
        }
        true
    }

    /// Ends the subscription under a listen key. Without one, nothing happens.
    pub fn unsubscribe_listen_key(&mut self, name: &str) {
        let Some(at) = self.listen_keys.iter().position(|(known, _)| **known == *name) else { return };
        let (name, account) = self.listen_keys.swap_remove(at);
        self.leave_account(&Under::ListenKey(name), account);
    }

    /// The numbers and accounts of the subscriptions to accounts, oldest first.
    #[must_use]
    pub fn accounts(&self) -> &[(u32, AccountId)] {
        &self.accounts
    }

    /// Forgets the subscriptions to accounts that have ended because their key was revoked.
    pub fn forget_ended(&mut self) {
        if self.accounts.is_empty() {
            return;
        }
        let (id, directory) = (self.id, self.hub.directory.lock());
        self.accounts.retain(|(subscription, account)| {
            let listeners = directory.accounts.get(account).map_or(&[][..], Vec::as_slice);
            listeners
                .iter()
                .any(|listener| listener.connection == id && listener.under == Under::Subscription(*subscription))
        });
    }

    /// Ends the subscription of that number. Returns whether there was one; one that a revoked key has ended is none.
    pub fn unsubscribe_account(&mut self, subscription: u32) -> bool {
        let Some(at) = self.accounts.iter().position(|(number, _)| *number == subscription) else { return false };
        let (_, account) = self.accounts.remove(at);
        self.leave_account(&Under::Subscription(subscription), account)
    }

    fn leave_account(&self, under: &Under, account: AccountId) -> bool {
        let mut directory = self.hub.directory.lock();
        let Some(listeners) = directory.accounts.get_mut(&account) else { return false };
        let before = listeners.len();
        listeners.retain(|listener| listener.connection != self.id || listener.under != *under);
        let has_left = listeners.len() < before;
        self.hub.left(&mut directory, account, before);
        has_left
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        for (topic, name) in std::mem::take(&mut self.topics) {
            self.leave(topic, &name);
        }
        for (subscription, account) in std::mem::take(&mut self.accounts) {
            self.leave_account(&Under::Subscription(subscription), account);
        }
        for (name, account) in std::mem::take(&mut self.listen_keys) {
            self.leave_account(&Under::ListenKey(name), account);
        }
        self.hub.directory.lock().connections.remove(&self.id);
        if self.unit == TimeUnit::Microseconds {
            self.hub.in_microseconds.fetch_sub(1, Ordering::AcqRel);
        }
        metrics::gauge!("crossbook_websocket_connections", "kind" => self.kind.as_str()).decrement(1.0);
    }
}
