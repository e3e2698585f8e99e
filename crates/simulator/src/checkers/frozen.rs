//! An independent check of frozen accounts from commands and events: none places anything, nothing is paid out of it,
//! and all that it had open has ended when all is quiet. What holds at once is what its own partition does.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_engine::Partition;
use crossbook_protocol::event::CloseReason;
use crossbook_protocol::registry::FROZEN_CANCEL_NAME;
use crossbook_protocol::{Answer, Body, Command, Event, Refusal};
use crossbook_types::{AccountId, OrderId, PartitionId, SymbolId};
use crossbook_views::Views;

use crate::coverage::Coverage;
use crate::violation::{Violation, ensure};

/// The frozen accounts as each partition has them, and all open orders.
#[derive(Clone, Debug, Default)]
pub struct Frozen {
    frozen: BTreeMap<PartitionId, BTreeSet<AccountId>>,
    open: BTreeMap<(SymbolId, OrderId), AccountId>,
}

/// For which account a command asks what a frozen one must not do.
fn asks(body: &Body) -> Option<AccountId> {
    match body {
        Body::Operated(operated) => asks(&operated.body),
        Body::Place(order) => Some(order.account),
        Body::PlaceList(list) => Some(list.account),
        Body::Replace(request) => Some(request.order.account),
        _ => None,
    }
}

fn is_by_freezing(reason: CloseReason) -> bool {
    matches!(reason, CloseReason::Canceled { cancel_id } if cancel_id.as_str() == FROZEN_CANCEL_NAME)
}

impl Frozen {
    /// Judges the next command of a partition, which is given as it is afterwards.
    ///
    /// # Errors
    /// When a rule is broken.
    pub fn take(
        &mut self,
        partition: &Partition,
        command: &Command,
        events: &[Event],
        coverage: &mut Coverage,
    ) -> Result<(), Violation> {
        let frozen = self.frozen.entry(partition.id()).or_default();
        let asks = asks(&command.body).filter(|account| frozen.contains(account));
        for event in events {
            match event {
                &Event::FrozenChanged { account, on } => {
                    let changed = if on { frozen.insert(account) } else { frozen.remove(&account) };
                    ensure!(changed, Market, "account {account} is told to be frozen: {on}, which it was before");
                }
                Event::Transferred(transfer) => {
                    let pays = transfer.amount.0 < 0 && frozen.contains(&transfer.account);
                    ensure!(!pays, Money, "{transfer:?} is paid out of a frozen account");
                }
                Event::OrderPlaced(placed) => {
                    ensure!(asks.is_none(), Market, "{placed:?} is placed for a frozen account");
                    self.open.insert((placed.terms.symbol, placed.order), placed.account);
                }
                Event::OrderClosed(closed) => {
                    self.open.remove(&(closed.symbol, closed.order));
                    if is_by_freezing(closed.reason) {
                        coverage.count("cancelled as its account was frozen");
                    }
                }
                Event::Answered { answer: Answer::Refused(Refusal::AccountFrozen), .. } => {
                    let pays = matches!(&command.body, Body::Transfer(_) | Body::Operated(_));
                    ensure!(asks.is_some() || pays, Market, "{command:?} is refused though no account of it is frozen");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What must hold when all is quiet.
    ///
    /// # Errors
    /// When it does not.
    pub fn check<'p>(&self, venue: impl Iterator<Item = (&'p Partition, &'p Views)>) -> Result<(), Violation> {
        let everywhere = self.frozen.values().next();
        for (partition, views) in venue {
            let due = self.frozen.get(&partition.id());
            ensure!(
                due == everywhere,
                Market,
                "{due:?} are frozen in partition {}, not {everywhere:?}",
                partition.id()
            );
            let due = due.into_iter().flatten().copied();
            ensure!(due.clone().eq(partition.registry().frozen()), Market, "other accounts are frozen than was told");
            let shown = due.clone().all(|account| views.registry().is_frozen(account));
            ensure!(shown, Views, "a frozen account is not shown to be");
        }
        let left = self.open.iter().find(|(_, account)| everywhere.is_some_and(|frozen| frozen.contains(account)));
        ensure!(left.is_none(), Market, "a frozen account still has an order open: {left:?}");
        Ok(())
    }
}
