//! Conservation of money over all partitions and the messages between them.
//!
//! A trade is settled in two ledgers. Until the second has received the settlement, the first one's clearing account
//! holds the amount in flight. So at any time the clearing accounts of all partitions, with the effect of every
//! settlement that was sent and not yet received, are zero.

use std::collections::BTreeMap;

use crossbook_engine::Partition;
use crossbook_protocol::peer::{Outgoing, PeerMessage, Settlement};
use crossbook_protocol::{Body, Command};
use crossbook_types::{AccountId, Amount, AssetId, PartitionId, RequestNumber, SourceId};

use crate::violation::{Check, Violation, ensure};
use crate::workload::ASSETS;

/// From which partition, and to which.
type Way = (PartitionId, PartitionId);

/// Money in flight.
#[derive(Clone, Debug, Default)]
pub struct Money {
    /// What was sent and is not received yet.
    sent: BTreeMap<(Way, RequestNumber), PeerMessage>,
    /// What was received, though its sender is not yet known to have sent it: partitions publish independently.
    ahead: BTreeMap<(Way, RequestNumber), PeerMessage>,
    received: BTreeMap<Way, RequestNumber>,
}

/// What a settlement will do to the clearing account of its receiver.
fn clears(settlement: &Settlement, asset: AssetId) -> i128 {
    let paid = if settlement.pay_asset == asset { settlement.pay.0 } else { 0 };
    let received = if settlement.receive_asset == asset { settlement.receive.0 } else { 0 };
    paid - received
}

impl Money {
    /// Takes note of what a command brought and what it left.
    ///
    /// # Errors
    /// When it brings another message than the one that was sent under its number.
    pub fn take(&mut self, to: PartitionId, command: &Command, outgoing: &[Outgoing]) -> Result<(), Violation> {
        if let Body::Peer(PeerMessage::Continue) = &command.body {
            // No command leaves it: the runtime of the partition sees that it is due.
            ensure!(
                command.source == SourceId::partition(to),
                Once,
                "{to} is to go on, by a message of {:?}",
                command.source
            );
        } else if let Body::Peer(message) = &command.body {
            ensure!(command.source < SourceId::FIRST_GATEWAY, Once, "a gateway sends what only partitions send");
            let from = PartitionId(u16::try_from(command.source.0).unwrap_or(u16::MAX));
            let (way, number) = ((from, to), command.number);
            let received = self.received.entry(way).or_default();
            ensure!(number <= received.next(), Once, "message {number} of {from} is received by {to} after {received}");
            // A message may stand in a log twice; the second has no effect.
            if number == received.next() {
                *received = number;
                match self.sent.remove(&(way, number)) {
                    Some(sent) => ensure!(sent == *message, Once, "message {number} of {from} to {to} has changed"),
                    None => drop(self.ahead.insert((way, number), message.clone())),
                }
            }
        }
        for message in outgoing {
            let key = ((to, message.to), message.number);
            match self.ahead.remove(&key) {
                Some(received) => {
                    ensure!(received == message.message, Once, "message {} of {to} was another", message.number)
                }
                None => drop(self.sent.insert(key, message.message.clone())),
            }
        }
        Ok(())
    }

    /// How many messages are in flight.
    #[must_use]
    pub fn in_transit(&self) -> usize {
        self.sent.len() + self.ahead.len()
    }

    /// Whether all money is accounted for.
    ///
    /// # Errors
    /// When it is not.
    pub fn check<'p>(&self, partitions: impl Iterator<Item = &'p Partition> + Clone) -> Result<(), Violation> {
        for asset in (0..ASSETS).map(AssetId) {
            let of = |account: AccountId| -> i128 {
                partitions.clone().map(|partition| partition.ledger().venue_balance(account, asset).0).sum()
            };
            let effect = |messages: &BTreeMap<_, PeerMessage>| -> i128 {
                let of = |message: &PeerMessage| match message {
                    PeerMessage::Settle(settlement) | PeerMessage::SettleInto { settlement, .. } => {
                        clears(settlement, asset)
                    }
                    _ => 0,
                };
                messages.values().map(of).sum()
            };
            let on_its_way = effect(&self.sent) - effect(&self.ahead);
            let clearing = of(AccountId::CLEARING);
            ensure!(
                clearing + on_its_way == 0,
                Money,
                "clearing has {clearing} of {asset}, {on_its_way} is on its way"
            );
            let clients: i128 = partitions
                .clone()
                .flat_map(|partition| partition.ledger().balances())
                .filter(|&(_, of, _)| of == asset)
                .map(|(_, _, balance)| balance.free.plus(balance.held).0)
                .sum();
            let all = clients + of(AccountId::EXTERNAL) + of(AccountId::FEES) + clearing;
            if all != 0 {
                return Err(Violation::new(Check::Money, format!("the sum of {asset} is {:?}", Amount(all))));
            }
        }
        Ok(())
    }
}
