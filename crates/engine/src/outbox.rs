//! What a partition has to say to others, and to itself.
//!
//! Messages to itself are taken out again before the next command, in the order in which they were put in; messages to others
//! are the node's to deliver. The code that sends does not know the difference.

use std::collections::VecDeque;

use crossbook_types::{AccountId, PartitionId, SymbolId};

use crate::peer::{Outgoing, PeerMessage};
use crate::routing::Routing;

/// Messages on their way.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    own: PartitionId,
    routing: Routing,
    inward: VecDeque<PeerMessage>,
    outward: Vec<Outgoing>,
}

impl Outbox {
    pub(crate) fn new(own: PartitionId, routing: Routing) -> Self {
        Self { own, routing, inward: VecDeque::new(), outward: Vec::new() }
    }

    pub(crate) fn routing(&self) -> &Routing {
        &self.routing
    }

    /// Sends to the partition that owns an account.
    #[inline]
    pub(crate) fn to_account(&mut self, account: AccountId, message: PeerMessage) {
        self.send(self.routing.of_account(account), message);
    }

    /// Sends to the partition that owns a market.
    #[inline]
    pub(crate) fn to_symbol(&mut self, symbol: SymbolId, message: PeerMessage) {
        self.send(self.routing.of_symbol(symbol), message);
    }

    /// Sends to every other partition.
    pub(crate) fn to_others(&mut self, message: &PeerMessage) {
        for to in (0..self.routing.partitions()).map(PartitionId).filter(|&to| to != self.own) {
            self.outward.push(Outgoing { to, message: message.clone() });
        }
    }

    #[inline]
    fn send(&mut self, to: PartitionId, message: PeerMessage) {
        if to == self.own {
            self.inward.push_back(message);
        } else {
            self.outward.push(Outgoing { to, message });
        }
    }

    /// The next message to itself.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<PeerMessage> {
        self.inward.pop_front()
    }

    /// The messages to others since the last call, in order.
    pub(crate) fn drain_outward(&mut self) -> impl Iterator<Item = Outgoing> {
        self.outward.drain(..)
    }
}
