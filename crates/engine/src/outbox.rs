//! What a partition has to say to others, and to itself.
//!
//! Messages to itself are taken out again before the next command, in the order in which they were put in; messages to others
//! are the node's to deliver. The code that sends does not know the difference.

use std::collections::VecDeque;

use crossbook_types::{AccountId, Market, PartitionId, RequestNumber, SymbolId};

use crate::peer::{Outgoing, PeerMessage};
use crate::routing::Routing;

/// Messages on their way.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    own: PartitionId,
    routing: Routing,
    inward: VecDeque<PeerMessage>,
    outward: Vec<Outgoing>,
    /// By partition, the number of the last message to it.
    sent: Vec<RequestNumber>,
}

impl Outbox {
    pub(crate) fn new(own: PartitionId, routing: Routing) -> Self {
        let sent = vec![RequestNumber(0); usize::from(routing.partitions())];
        Self { own, routing, inward: VecDeque::new(), outward: Vec::new(), sent }
    }

    /// With the counts of an earlier one.
    pub(crate) fn restore(own: PartitionId, routing: Routing, sent: Vec<RequestNumber>) -> Option<Self> {
        let outbox = Self::new(own, routing);
        (sent.len() == outbox.sent.len()).then_some(Self { sent, ..outbox })
    }

    /// By partition, the number of the last message to it.
    pub(crate) fn sent(&self) -> &[RequestNumber] {
        &self.sent
    }

    pub(crate) fn routing(&self) -> &Routing {
        &self.routing
    }

    /// Learns of a market. Whether it is this partition's.
    pub(crate) fn adopt(&mut self, market: &Market) -> bool {
        self.routing.adopt(market);
        self.routing.of_symbol(market.id) == self.own
    }

    /// Sends to the partition that owns an account.
    #[inline]
    pub(crate) fn send_to_account(&mut self, account: AccountId, message: PeerMessage) {
        self.send(self.routing.of_account(account), message);
    }

    /// Sends to the partition that owns a market.
    #[inline]
    pub(crate) fn send_to_symbol(&mut self, symbol: SymbolId, message: PeerMessage) {
        self.send(self.routing.of_symbol(symbol), message);
    }

    /// Sends to every other partition.
    pub(crate) fn send_to_others(&mut self, message: &PeerMessage) {
        for to in self.routing.all() {
            if to != self.own {
                self.post(to, message.clone());
            }
        }
    }

    #[inline]
    fn send(&mut self, to: PartitionId, message: PeerMessage) {
        if to == self.own {
            self.inward.push_back(message);
        } else {
            self.post(to, message);
        }
    }

    fn post(&mut self, to: PartitionId, message: PeerMessage) {
        let sent = &mut self.sent[usize::from(to.0)];
        *sent = sent.next();
        self.outward.push(Outgoing { to, number: *sent, message });
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
