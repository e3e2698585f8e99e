//! What the sessions of a process tell each other: messages between partitions, and where their numbers go on when a
//! partition goes on from a newer snapshot.

use std::time::Duration;

use crossbook_types::{PartitionId, RequestNumber};

use super::{Member, Session};
use crate::replica::Replica;

/// A message from one partition to another, encoded as a command of the receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// The sender.
    pub from: PartitionId,
    /// The receiver.
    pub to: PartitionId,
    /// Its number among the sender's messages to the receiver.
    pub number: RequestNumber,
    /// The command.
    pub bytes: Vec<u8>,
    /// Whether this process is responsible for it.
    pub is_own: bool,
}

/// What the sessions of a process tell each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mail {
    /// A message of a partition.
    Letter(Letter),
    /// The receiver has durably received the messages of a sender up to this one. Those that this process does not have
    /// do not come.
    Received {
        /// The sender.
        from: PartitionId,
        /// The receiver.
        to: PartitionId,
        /// The last of these messages.
        up_to: RequestNumber,
    },
}

impl Mail {
    /// The partition that it is for.
    #[must_use]
    pub fn to(&self) -> PartitionId {
        match self {
            Self::Letter(Letter { to, .. }) | Self::Received { to, .. } => *to,
        }
    }
}

impl Member {
    /// Takes in what another session tells this partition.
    pub fn take_in(&mut self, mail: Mail, now: Duration) {
        match mail {
            Mail::Letter(letter) => self.post(letter, now),
            Mail::Received { from, up_to, .. } => {
                self.mailbox(from).received(up_to);
            }
        }
    }

    /// Goes on with another replica of the partition, at a later place. What waits for it stays.
    fn replace(&mut self, replica: Replica) {
        let (appends, mailboxes) = (self.appends.take(), std::mem::take(&mut self.mailboxes));
        *self = Self::new(replica, appends);
        let own = self.replica.partition().id();
        for (from, mut mailbox) in mailboxes.into_iter().filter(|(from, _)| *from != own) {
            mailbox.disconnected();
            mailbox.received(self.replica.partition().received(from));
            self.mailboxes.insert(from, mailbox);
        }
    }
}

impl Session {
    /// Goes on with a partition from a snapshot, because its log does not reach back to what comes next here. All other
    /// partitions had received what it had sent before that snapshot. Returns what those in other sessions are told.
    pub fn replace(&mut self, replica: Replica) -> Vec<Mail> {
        let from = replica.partition().id();
        let others = replica.partition().routing().all().filter(|&to| to != from);
        let sent: Vec<_> = others.map(|to| (to, replica.partition().sent(to))).collect();
        let Some(member) = self.members.get_mut(&from) else { return Vec::new() };
        member.replace(replica);
        self.notified = true;
        let mut elsewhere = Vec::new();
        for (to, up_to) in sent {
            let mail = Mail::Received { from, to, up_to };
            match self.members.get_mut(&to) {
                Some(member) => member.take_in(mail, Duration::ZERO),
                None => elsewhere.push(mail),
            }
        }
        elsewhere
    }
}
