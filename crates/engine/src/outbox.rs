//! The messages of a partition to others, and how a market reaches the accounts of its orders in any partition.
//!
//! The node delivers messages to other partitions. What this partition would send to itself is carried out at once: a
//! market's settlements and releases go to the ledger here in the order in which they would have arrived as messages.
//! Nothing that a market does depends on a balance, so only the time differs.

use crossbook_ledger::{Ledger, Leg};
use crossbook_protocol::command::Deadline;
use crossbook_protocol::order::NewOrder;
use crossbook_protocol::peer::{ListFunding, Outgoing, PeerMessage, Settlement};
use crossbook_protocol::routing::Routing;
use crossbook_protocol::rules::Rules;
use crossbook_protocol::volume::day_of;
use crossbook_types::{AccountId, HoldId, Market, PartitionId, RequestNumber, Timestamp};

use crate::limits::NUMBERS_END;
use crate::work_budget::WorkBudget;

/// Messages to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    own: PartitionId,
    routing: Routing,
    outward: Vec<Outgoing>,
    /// By partition, the number of the last message to it.
    sent: Vec<RequestNumber>,
    used_up: bool,
}

impl Outbox {
    pub(crate) fn new(own: PartitionId, routing: Routing) -> Self {
        let sent = vec![RequestNumber(0); usize::from(routing.partitions())];
        Self { own, routing, outward: Vec::new(), sent, used_up: false }
    }

    /// With the counts of an earlier one.
    pub(crate) fn restore(own: PartitionId, routing: Routing, sent: Vec<RequestNumber>) -> Option<Self> {
        let outbox = Self::new(own, routing);
        let used_up = sent.iter().any(|sent| sent.0 >= NUMBERS_END);
        (sent.len() == outbox.sent.len()).then_some(Self { sent, used_up, ..outbox })
    }

    /// By partition, the number of the last message to it.
    pub(crate) fn sent(&self) -> &[RequestNumber] {
        &self.sent
    }

    #[inline]
    pub(crate) fn routing(&self) -> &Routing {
        &self.routing
    }

    /// Whether messages have used up so many numbers that nothing new is to be begun.
    #[inline]
    pub(crate) fn is_used_up(&self) -> bool {
        self.used_up
    }

    /// Learns of a market. Whether it is this partition's.
    pub(crate) fn adopt(&mut self, market: &Market) -> bool {
        self.routing.adopt(market);
        self.routing.of_symbol(market.id) == self.own
    }

    /// Sends to every other partition.
    pub(crate) fn post_to_others(&mut self, message: &PeerMessage) {
        for to in self.routing.all() {
            if to != self.own {
                self.post(to, message.clone());
            }
        }
    }

    /// Sends to another partition.
    pub(crate) fn post(&mut self, to: PartitionId, message: PeerMessage) {
        self.post_until(to, message, None);
    }

    /// Sends a client's request to another partition, which refuses it after `deadline`, by the time of
    /// its own log.
    pub(crate) fn post_until(&mut self, to: PartitionId, message: PeerMessage, deadline: Option<Deadline>) {
        assert_ne!(to, self.own, "a partition sends nothing to itself");
        let sent = &mut self.sent[usize::from(to.0)];
        *sent = sent.next();
        self.used_up |= sent.0 >= NUMBERS_END;
        let deadline = deadline.map(Deadline::at_market);
        self.outward.push(Outgoing { to, number: *sent, deadline, message });
    }

    /// The messages to others since the last call, in order.
    pub(crate) fn drain_outward(&mut self) -> impl Iterator<Item = Outgoing> {
        self.outward.drain(..)
    }
}

/// The accounts of a market's orders: those of this partition, whose money is moved at once, and those of others, which
/// are sent a message.
#[derive(Debug)]
pub(crate) struct Accounts<'a> {
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) outbox: &'a mut Outbox,
    /// The rules of the command that is being applied.
    pub(crate) rules: Rules,
    /// How much the command does.
    pub(crate) work: WorkBudget,
    /// The time of the command.
    pub(crate) now: Timestamp,
}

impl Accounts<'_> {
    /// Moves the money of one side of a trade.
    #[inline]
    pub(crate) fn settle(&mut self, settlement: &Settlement) {
        match self.elsewhere(settlement.account) {
            None => settle(self.ledger, settlement, self.now),
            Some(partition) => self.outbox.post(partition, PeerMessage::Settle(*settlement)),
        }
    }

    /// The same, but what is received goes into another hold of the account.
    pub(crate) fn settle_into(&mut self, settlement: &Settlement, into: HoldId) {
        match self.elsewhere(settlement.account) {
            None => settle_into(self.ledger, settlement, into, self.now),
            Some(partition) => self.outbox.post(partition, PeerMessage::SettleInto { settlement: *settlement, into }),
        }
    }

    /// The same where money changes hands within a trade group.
    pub(crate) fn settle_transfer(&mut self, settlement: &Settlement) {
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::TransferLost)
            && self.elsewhere(settlement.account).is_some()
        {
            let receive = crossbook_types::Amount::ZERO;
            return self.settle(&Settlement { receive, ..*settlement });
        }
        self.settle(settlement);
    }

    /// Releases the remaining funds of an order that has ended.
    #[inline]
    pub(crate) fn release(&mut self, account: AccountId, hold: HoldId) {
        match self.elsewhere(account) {
            None => self.ledger.release(account, hold),
            Some(partition) => self.outbox.post(partition, PeerMessage::Release { account, hold }),
        }
    }

    /// Releases all that is held for an order that its market does not take.
    #[inline]
    pub(crate) fn release_order(&mut self, order: &NewOrder, hold: HoldId) {
        self.release(order.account, hold);
        if let Some(discount) = order.terms.discount() {
            self.release(order.account, discount.hold);
        }
    }

    /// Releases all that is held for an order list.
    pub(crate) fn release_list(&mut self, account: AccountId, funding: &ListFunding) {
        for hold in funding.holds() {
            self.release(account, hold);
        }
    }

    /// The other partition that owns an account, if this one does not.
    #[inline]
    pub(crate) fn elsewhere(&self, account: AccountId) -> Option<PartitionId> {
        Some(self.outbox.routing.of_account(account)).filter(|&owner| owner != self.outbox.own)
    }
}

/// Moves the money of one side of a trade of an account of this partition.
#[inline]
pub(crate) fn settle(ledger: &mut Ledger, settlement: &Settlement, now: Timestamp) {
    let leg = leg(settlement);
    ledger.settle(settlement.account, settlement.hold, &leg);
    if ledger.counts_volume() && !settlement.transfer {
        ledger.count_volume(settlement.account, &leg, day_of(now));
    }
}

/// The same, but what is received goes into another hold of the account.
pub(crate) fn settle_into(ledger: &mut Ledger, settlement: &Settlement, into: HoldId, now: Timestamp) {
    let leg = leg(settlement);
    ledger.settle_into(settlement.account, settlement.hold, &leg, into);
    if ledger.counts_volume() && !settlement.transfer {
        ledger.count_volume(settlement.account, &leg, day_of(now));
    }
}

/// What of one side of a trade is the ledger's.
#[inline]
fn leg(settlement: &Settlement) -> Leg {
    let &Settlement { pay_asset, pay, improvement, receive_asset, receive, fee, .. } = settlement;
    Leg { pay_asset, pay, improvement, receive_asset, receive, fee }
}
