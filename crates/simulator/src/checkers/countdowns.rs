//! An independent check of countdowns from commands and events: one ends only when it has passed or when somebody asks
//! for that, and what its account had open then, where it covers that, ends. Partitions are watched independently, so
//! another one may be watched further or less far than the one whose countdown passes.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_engine::{COUNTDOWNS_PER_ACCOUNT, Partition};
use crossbook_protocol::countdown::{CANCEL_NAME, Countdown, CountdownScope};
use crossbook_protocol::event::{CloseReason, OrderClosed};
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::{Answer, Body, Command, Event, Refusal};
use crossbook_types::{AccountId, OrderId, PartitionId, RequestNumber, SourceId, SymbolId, Timestamp};
use crossbook_views::Views;

use crate::coverage::Coverage;
use crate::violation::{Violation, ensure};

type Orders = BTreeSet<(SymbolId, OrderId)>;

/// All countdowns, and the orders that they are yet to cancel.
#[derive(Clone, Debug, Default)]
pub struct Countdowns {
    running: BTreeMap<(AccountId, CountdownScope), Timestamp>,
    open: BTreeMap<(SymbolId, OrderId), AccountId>,
    /// By partition, the orders that are to end before it has nothing more to go on with.
    here: BTreeMap<PartitionId, Orders>,
    /// The orders that are to end once their partition has been told.
    elsewhere: Orders,
    /// How often a countdown has passed that covers orders of an account in a partition, or in a market of it, less how
    /// often the partition has heard of one.
    unheard: BTreeMap<(AccountId, Option<SymbolId>, PartitionId), i64>,
    /// The last message from one partition to another.
    received: BTreeMap<(PartitionId, SourceId), RequestNumber>,
}

fn market_of(scope: CountdownScope) -> Option<SymbolId> {
    match scope {
        CountdownScope::Symbol(symbol) => Some(symbol),
        CountdownScope::Account | CountdownScope::Session(_) => None,
    }
}

/// Whether a command asks for the end of that countdown, or for its passing, at a time at which it may.
fn is_asked(command: &Command, ended: (AccountId, CountdownScope), until: Option<Timestamp>, passed: bool) -> bool {
    match &command.body {
        Body::SetCountdown(request) => {
            let due = if passed { Some(0) } else { None };
            (request.account, request.scope) == ended && request.after_millis == due && (passed || until.is_some())
        }
        Body::EndCountdown(request) => {
            let due = passed && until == Some(request.until) && request.until <= command.time;
            (request.account, request.scope) == ended && due
        }
        _ => false,
    }
}

impl Countdowns {
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
        self.hear(partition, command);
        for event in events {
            match event {
                Event::OrderPlaced(placed) => {
                    self.open.insert((placed.terms.symbol, placed.order), placed.account);
                }
                Event::OrderClosed(closed) => self.closed(partition.id(), closed)?,
                Event::CountdownSet(countdown) => self.set(command, countdown)?,
                &Event::CountdownEnded { account, scope, passed } => {
                    let until = self.running.remove(&(account, scope));
                    let asked = is_asked(command, (account, scope), until, passed);
                    ensure!(asked, Market, "{scope:?} of {account} until {until:?} ends with {command:?}");
                    if passed {
                        self.passed(partition, account, scope, coverage);
                    }
                }
                Event::Answered { answer: Answer::Refused(refusal), .. } => self.refused(command, *refusal)?,
                _ => {}
            }
        }
        let left = self.here.get(&partition.id()).filter(|left| !left.is_empty() && partition.continuation().is_none());
        ensure!(left.is_none(), Market, "a countdown has passed, and leaves {left:?} in partition {}", partition.id());
        Ok(())
    }

    /// What the account has open in markets of that partition, or in one market.
    fn covered(&self, of: &Partition, at: PartitionId, account: AccountId, market: Option<SymbolId>) -> Orders {
        let there = |symbol| market.is_none_or(|market| market == symbol) && of.routing().of_symbol(symbol) == at;
        let own = self.open.iter().filter(|&(&(symbol, _), &owner)| owner == account && there(symbol));
        own.map(|(&order, _)| order).collect()
    }

    /// The command may be the message of another partition, that a countdown has passed.
    fn hear(&mut self, partition: &Partition, command: &Command) {
        let Body::Peer(message) = &command.body else { return };
        let last = self.received.entry((partition.id(), command.source)).or_default();
        // A message may stand in a log twice; the second has no effect.
        if command.number <= *last {
            return;
        }
        *last = command.number;
        if let &PeerMessage::CancelOrders { account, symbol } = message {
            *self.unheard.entry((account, symbol, partition.id())).or_default() -= 1;
            let covered = self.covered(partition, partition.id(), account, symbol);
            self.here.entry(partition.id()).or_default().extend(covered);
        }
    }

    fn set(&mut self, command: &Command, countdown: &Countdown) -> Result<(), Violation> {
        let &Countdown { account, scope, until } = countdown;
        let due = match &command.body {
            Body::SetCountdown(request) if (request.account, request.scope) == (account, scope) => {
                request.after_millis.map(|after| Timestamp(command.time.0 + u64::from(after) * 1_000))
            }
            _ => None,
        };
        ensure!(due == Some(until), Market, "{countdown:?} is set by {command:?}");
        self.running.insert((account, scope), until);
        let count = self.of(account);
        ensure!(count <= COUNTDOWNS_PER_ACCOUNT, Market, "account {account} has {count} countdowns");
        Ok(())
    }

    fn of(&self, account: AccountId) -> usize {
        self.running.keys().filter(|(owner, _)| *owner == account).count()
    }

    fn passed(&mut self, partition: &Partition, account: AccountId, scope: CountdownScope, coverage: &mut Coverage) {
        let market = market_of(scope);
        let owner = market.map(|symbol| partition.routing().of_symbol(symbol));
        for at in partition.routing().all().filter(|at| owner.is_none_or(|owner| owner == *at)) {
            let covered = self.covered(partition, at, account, market);
            if at == partition.id() {
                self.here.entry(at).or_default().extend(covered);
                continue;
            }
            if !covered.is_empty() {
                coverage.count("countdown covers orders elsewhere");
            }
            let unheard = self.unheard.entry((account, market, at)).or_default();
            *unheard += 1;
            // Otherwise the other one was watched further: what it had open is known already.
            if *unheard > 0 {
                self.elsewhere.extend(covered);
            }
        }
    }

    fn closed(&mut self, partition: PartitionId, closed: &OrderClosed) -> Result<(), Violation> {
        let order = (closed.symbol, closed.order);
        self.open.remove(&order);
        self.elsewhere.remove(&order);
        let was_due = self.here.entry(partition).or_default().remove(&order);
        let by_countdown =
            |reason| matches!(reason, CloseReason::Canceled { cancel_id } if cancel_id.as_str() == CANCEL_NAME);
        ensure!(was_due || !by_countdown(closed.reason), Market, "no countdown covers {closed:?}");
        Ok(())
    }

    fn refused(&self, command: &Command, refusal: Refusal) -> Result<(), Violation> {
        match (&command.body, refusal) {
            (Body::EndCountdown(Countdown { account, scope, until }), Refusal::NoCountdown) => {
                let runs = self.running.get(&(*account, *scope)) == Some(until);
                ensure!(!runs || *until > command.time, Market, "{command:?} is refused, though it has passed");
            }
            (Body::SetCountdown(request), Refusal::TooManyCountdowns) => {
                let runs = self.running.contains_key(&(request.account, request.scope));
                let full = self.of(request.account) == COUNTDOWNS_PER_ACCOUNT;
                ensure!(full && !runs, Market, "{command:?} is refused, though it is not too many");
            }
            _ => {}
        }
        Ok(())
    }

    /// What must hold when all is quiet.
    ///
    /// # Errors
    /// When it does not.
    pub fn check<'p>(&self, venue: impl Iterator<Item = (&'p Partition, &'p Views)>) -> Result<(), Violation> {
        let unheard = self.unheard.iter().find(|(_, times)| **times != 0);
        let left = self.here.values().flatten().chain(&self.elsewhere).next();
        ensure!(left.is_none(), Market, "a countdown has passed, and order {left:?} is still open");
        ensure!(unheard.is_none(), Market, "countdowns have passed otherwise than partitions have heard: {unheard:?}");
        let mut kept = 0;
        for (partition, views) in venue {
            for Countdown { account, scope, until } in partition.countdowns() {
                let due = self.running.get(&(account, scope));
                ensure!(due == Some(&until), Market, "{scope:?} of {account} passes at {until:?}, due is {due:?}");
                let shown = views.countdowns().of(account).any(|shown| (shown.scope, shown.until) == (scope, until));
                ensure!(shown, Views, "{scope:?} of {account} is not shown");
                kept += 1;
            }
        }
        ensure!(kept == self.running.len(), Market, "{kept} countdowns run, of {}", self.running.len());
        Ok(())
    }
}
