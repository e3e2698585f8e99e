//! The state machine: applies one command and returns its events.

use std::collections::VecDeque;

use crossbook_ledger::Ledger;
use crossbook_protocol::command::{Body, Command, Deadline};
use crossbook_protocol::countdown::CANCEL_NAME;
use crossbook_protocol::event::{Answer, Cause, Event, Events};
use crossbook_protocol::order::{CancelAll, CancelOrder, NewOrder};
use crossbook_protocol::peer::{Admitted, AdmittedList, Funding, Origin, Outgoing, PeerMessage};
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::registry::FROZEN_CANCEL_NAME;
use crossbook_protocol::routing::Routing;
use crossbook_protocol::rules::Rules;
use crossbook_types::{AccountId, HoldId, PartitionId, RequestNumber, Sequence, Side, SourceId, SymbolId, Timestamp};

use crate::admission;
use crate::dedup::Dedup;
use crate::matching::Matcher;
use crate::outbox::{Accounts, Outbox, settle, settle_into};
use crate::prefetch::{AHEAD, Prefetch};
use crate::refusal::refuse_order;
use crate::registry::Registry;
use crate::work_budget::WorkBudget;

mod amend;
pub(crate) mod countdown;
pub(crate) mod counting;
mod discount;
mod frozen;
mod lists;
mod money;
mod operator;
mod registry;
mod session;

use countdown::Countdowns;
use counting::Limits;

/// One partition of the venue.
#[derive(Clone, Debug)]
pub struct Partition {
    pub(crate) id: PartitionId,
    pub(crate) sequence: Sequence,
    pub(crate) time: Timestamp,
    pub(crate) registry: Registry,
    pub(crate) sources: Dedup,
    pub(crate) ledger: Ledger,
    /// By symbol number; `None` for markets of other partitions.
    pub(crate) matchers: Vec<Option<Box<Matcher>>>,
    pub(crate) outbox: Outbox,
    pub(crate) hash_seed: u64,
    pub(crate) prefetch: Prefetch,
    /// Whether a venue is being imported: until all of it is here, nothing else is done. See [`crate::import`].
    pub(crate) importing: bool,
    /// The rules that are active.
    pub(crate) active_rules: Rules,
    /// The rules of the command that is being applied: those, unless its record implies others.
    pub(crate) rules: Rules,
    /// The markets with deferred work, in the order in which they continue. See [`crate::work_budget`].
    pub(crate) unfinished: VecDeque<SymbolId>,
    pub(crate) work: WorkBudget,
    pub(crate) countdowns: Countdowns,
    pub(crate) limits: Limits,
}

impl Partition {
    /// An empty partition. `hash_seed` protects its tables against clients who choose names that collide; it does not
    /// affect any event or state, and every process may draw its own.
    #[must_use]
    pub fn new(id: PartitionId, routing: Routing, hash_seed: u64) -> Self {
        Self {
            id,
            sequence: Sequence(0),
            time: Timestamp(0),
            registry: Registry::default(),
            sources: Dedup::default(),
            ledger: Ledger::new(),
            matchers: Vec::new(),
            outbox: Outbox::new(id, routing),
            hash_seed,
            prefetch: Prefetch::default(),
            importing: false,
            rules: Rules::default(),
            active_rules: Rules::default(),
            unfinished: VecDeque::new(),
            work: WorkBudget::RULES,
            countdowns: Countdowns::default(),
            limits: Limits::default(),
        }
    }

    /// The same with other bounds than those of the rules. What a log replays to depends on them, so this is for worlds
    /// that are to go through what takes a hundred thousand orders elsewhere.
    #[must_use]
    pub fn with_work(mut self, work: WorkBudget) -> Self {
        self.work = work;
        self
    }

    /// Which partition it is.
    #[must_use]
    pub fn id(&self) -> PartitionId {
        self.id
    }

    /// Which partition owns what, as this one knows it.
    #[must_use]
    pub fn routing(&self) -> &Routing {
        self.outbox.routing()
    }

    /// The last command applied.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The time of the last command applied.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// What exists at the venue.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The rules that are active.
    #[must_use]
    pub fn active_rules(&self) -> Rules {
        self.active_rules
    }

    /// The partition's money.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Applies commands as [`Partition::apply`] does, one after the other, but looks ahead for what they will touch.
    ///
    /// # Panics
    /// As [`Partition::apply`].
    pub fn apply_all(&mut self, commands: &[Command], events: &mut Events) {
        for batch in commands.chunks(AHEAD) {
            if batch.len() > 1 {
                self.prefetch.run(&self.matchers, &self.ledger, batch);
            }
            for command in batch {
                self.apply(command, events);
            }
        }
    }

    /// Applies the next command and adds its events to `events`. A command whose source and number were applied before
    /// has none.
    ///
    /// # Panics
    /// When it is not the next command, goes back in time, or an invariant does not hold: a partition whose state may
    /// be wrong must not continue.
    pub fn apply(&mut self, command: &Command, events: &mut Events) {
        assert_eq!(command.sequence, self.sequence.next(), "commands are applied in order");
        assert!(command.time >= self.time, "time does not go back");
        (self.sequence, self.time) = (command.sequence, command.time);
        self.rules = command.rules.unwrap_or(self.active_rules);
        if self.sources.is_new(command.source, command.number, command.sequence) {
            if command.skipped {
                self.skip(command, events);
            } else {
                self.run(command, events);
            }
            if self.ledger.has_changed_tiers() {
                let changed = self.ledger.drain_tiers();
                changed.for_each(|(account, fees)| events.push(Event::FeeTierReached { account, fees }));
            }
            self.ledger.drain_changes(|account, asset, balance| {
                events.add(|| Event::BalanceChanged { account, asset, free: balance.free, held: balance.held });
            });
            if self.outbox.routing().partitions() == 1 && !self.importing {
                assert!(!self.ledger.in_transit(), "between commands nothing is in transit");
            }
        }
        events.close(Cause { sequence: command.sequence, time: command.time });
    }

    /// The last message that this partition has left for another one.
    #[must_use]
    pub fn sent(&self, to: PartitionId) -> RequestNumber {
        self.outbox.sent().get(usize::from(to.0)).copied().unwrap_or_default()
    }

    /// The last message of another partition that this one has taken.
    #[must_use]
    pub fn received(&self, from: PartitionId) -> RequestNumber {
        self.sources.highest(SourceId::partition(from))
    }

    /// The number of the message by which the partition continues deferred work, if it has some; see
    /// [`crate::work_budget`]. The message is [`PeerMessage::Continue`], from the partition itself. The number is the
    /// same until that message was applied.
    #[must_use]
    #[inline]
    pub fn continuation(&self) -> Option<RequestNumber> {
        (!self.unfinished.is_empty()).then(|| self.received(self.id).next())
    }

    /// A market in which something is left, be it that it waits for the market to open.
    #[must_use]
    pub fn unfinished(&self) -> Option<SymbolId> {
        self.matchers.iter().flatten().find(|matcher| matcher.has_pending()).map(|matcher| matcher.market().id)
    }

    /// Messages that the last commands left for other partitions, in order.
    pub fn drain_outgoing(&mut self) -> impl Iterator<Item = Outgoing> {
        self.outbox.drain_outward()
    }

    /// Skips a command. Its sender gets an answer; the funds of an order that came from another partition are released.
    #[cold]
    fn skip(&mut self, command: &Command, events: &mut Events) {
        let origin = match &command.body {
            Body::Peer(PeerMessage::Replace(replacing)) => {
                self.release_if_there(&replacing.request.order, replacing.hold);
                replacing.origin
            }
            Body::Peer(PeerMessage::Admit(admitted)) => {
                self.release_if_there(&admitted.order, admitted.hold);
                admitted.origin
            }
            Body::Peer(PeerMessage::AdmitList(admitted)) => self.skip_list(admitted),
            Body::Peer(
                PeerMessage::Cancel { origin, .. }
                | PeerMessage::CancelAll { origin, .. }
                | PeerMessage::CancelList { origin, .. }
                | PeerMessage::Amend { origin, .. }
                | PeerMessage::Session { origin, .. },
            ) => *origin,
            Body::Peer(PeerMessage::Continue) => return self.give_up(events),
            Body::Peer(_) => return,
            _ => Origin { source: command.source, number: command.number },
        };
        events.refuse(origin, Refusal::Skipped);
    }

    /// Releases what was held for an order that is passed over.
    fn release_if_there(&mut self, order: &NewOrder, hold: HoldId) {
        // The ledger of an account of another partition is not here, and a hold that is not there would end the process
        // again.
        let elsewhere = self.outbox.routing().of_account(order.account) != self.id;
        for hold in std::iter::once(hold).chain(order.terms.discount().map(|discount| discount.hold)) {
            if elsewhere || self.ledger.held_under(hold).is_some() {
                self.accounts().release(order.account, hold);
            }
        }
    }

    /// The markets of this partition, by number, and beside them the accounts of their orders.
    #[inline]
    fn split(&mut self) -> (&mut [Option<Box<Matcher>>], Accounts<'_>) {
        let accounts = Accounts {
            ledger: &mut self.ledger,
            outbox: &mut self.outbox,
            rules: self.rules,
            work: self.work,
            now: self.time,
        };
        (&mut self.matchers, accounts)
    }

    /// The market of that number, if it is this partition's, and beside it the accounts of its orders.
    #[inline]
    fn market(&mut self, symbol: SymbolId) -> (Option<&mut Matcher>, Accounts<'_>) {
        let (matchers, accounts) = self.split();
        (matchers.get_mut(symbol.0 as usize).and_then(Option::as_deref_mut), accounts)
    }

    fn accounts(&mut self) -> Accounts<'_> {
        self.split().1
    }

    #[inline]
    fn run(&mut self, command: &Command, events: &mut Events) {
        let origin = Origin { source: command.source, number: command.number };
        let answer = match &command.body {
            Body::Import(piece) => self.move_in(piece, origin.source, events).map(Some),
            Body::Peer(message) => {
                if command.is_late() && message.is_request() {
                    self.refuse_request(message, Refusal::Late, events);
                } else {
                    self.receive(message, events);
                }
                Ok(None)
            }
            _ if command.is_late() => Err(Refusal::Late),
            _ if self.importing => Err(Refusal::Importing),
            _ if self.outbox.is_used_up() => Err(Refusal::NumbersUsedUp),
            Body::Operated(operated) => self.operated(operated, origin, command.deadline, events),
            body => self.carry_out(body, origin, command.deadline, events),
        };
        match answer {
            Ok(None) => {}
            Ok(Some(answer)) => events.answer(origin, || answer),
            Err(refusal) => events.refuse(origin, refusal),
        }
    }

    /// Does what a client or an operator asks. The answer; `None` if it is among the events, or comes later.
    #[inline(always)]
    fn carry_out(
        &mut self,
        body: &Body,
        origin: Origin,
        deadline: Option<Deadline>,
        events: &mut Events,
    ) -> Result<Option<Answer>, Refusal> {
        match body {
            Body::Place(order) => self.place(order, origin, deadline, events).map(|()| None),
            Body::Cancel(request) => self.cancel(request, origin, deadline, events).map(|()| None),
            Body::CancelAll(request) => self.cancel_all(request, origin, deadline, events).map(|()| None),
            Body::Amend(request) => self.amend(request, origin, deadline, events).map(|()| None),
            Body::Replace(request) => self.replace(request, origin, deadline, events).map(|()| None),
            Body::PlaceList(list) => self.place_list(list, origin, deadline, events).map(|()| None),
            Body::CancelList(request) => self.cancel_list(request, origin, deadline, events).map(|()| None),
            Body::Session(request) => self.session(request, origin, deadline, events).map(|()| None),
            Body::Transfer(request) => self.transfer(request, events).map(Some),
            Body::ReportVenue { partition } => self.report_venue(*partition).map(Some),
            Body::PayOutFees(request) => self.pay_out_fees(request, events).map(Some),
            Body::SetCountdown(request) => self.set_countdown(request, events).map(Some),
            Body::EndCountdown(countdown) => self.end_countdown(countdown, events).map(Some),
            // No operator's record has these; see `Operated::may_hold`.
            Body::Operated(_) | Body::Peer(_) | Body::Import(_) => Err(Refusal::MalformedOrder),
            registry => self.change_registry(registry, events).map(Some),
        }
    }

    #[inline]
    fn place(
        &mut self,
        order: &NewOrder,
        origin: Origin,
        deadline: Option<Deadline>,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        self.registry.check_frozen(order.account)?;
        let grouped = self.grouped(order);
        let order = grouped.as_deref().unwrap_or(order);
        if self.limits.are_on() {
            self.count_open(order.account, order.terms.symbol, order.terms.side == Side::Buy);
        }
        let market = self.registry.market(order.terms.symbol).ok_or(Refusal::UnknownSymbol)?;
        let funding = match admission::admit(&mut self.ledger, &self.registry, market, order, self.rules, self.time) {
            Ok(funding) => funding,
            Err(refusal) => {
                refuse_order(events, order, origin, refusal, self.rules);
                return Ok(());
            }
        };
        let discounted = self.discounted(order, funding.budget, false);
        let order = discounted.as_deref().unwrap_or(order);
        match self.elsewhere(order.terms.symbol) {
            None => self.market_admit(order, funding, origin, events),
            Some(partition) => {
                self.outbox.post_until(
                    partition,
                    PeerMessage::Admit(Admitted::new(order.clone(), funding, origin)),
                    deadline,
                );
            }
        }
        Ok(())
    }

    /// The order as one of its account's trade group; `None` if it is as it should be.
    #[inline]
    pub(crate) fn grouped(&self, order: &NewOrder) -> Option<Box<NewOrder>> {
        let group = self.registry.trade_group(order.account);
        if group == order.terms.trade_group() { None } else { Some(order.in_trade_group(group)) }
    }

    #[inline]
    fn cancel(
        &mut self,
        request: &CancelOrder,
        origin: Origin,
        deadline: Option<Deadline>,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        self.check_names(request.account, request.symbol)?;
        match self.elsewhere(request.symbol) {
            None => self.market_cancel(request, origin, events),
            Some(partition) => {
                self.outbox.post_until(partition, PeerMessage::Cancel { request: *request, origin }, deadline);
            }
        }
        Ok(())
    }

    fn cancel_all(
        &mut self,
        request: &CancelAll,
        origin: Origin,
        deadline: Option<Deadline>,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        self.check_names(request.account, request.symbol)?;
        match self.elsewhere(request.symbol) {
            None => self.market_cancel_all(request, origin, events),
            Some(partition) => {
                self.outbox.post_until(partition, PeerMessage::CancelAll { request: *request, origin }, deadline);
            }
        }
        Ok(())
    }

    /// The other partition that owns a market, if this one does not.
    #[inline]
    pub(crate) fn elsewhere(&self, symbol: SymbolId) -> Option<PartitionId> {
        Some(self.outbox.routing().of_symbol(symbol)).filter(|&owner| owner != self.id)
    }

    #[inline]
    fn check_names(&self, account: AccountId, symbol: SymbolId) -> Result<(), Refusal> {
        if !self.ledger.has(account) {
            return Err(Refusal::UnknownAccount);
        }
        self.registry.market(symbol).map(|_| ()).ok_or(Refusal::UnknownSymbol)
    }

    /// Does what another partition asks.
    fn receive(&mut self, message: &PeerMessage, events: &mut Events) {
        match message {
            PeerMessage::Admit(admitted) => {
                self.market_admit(&admitted.order, admitted.funding(), admitted.origin, events);
            }
            PeerMessage::Cancel { request, origin } => self.market_cancel(request, *origin, events),
            PeerMessage::CancelAll { request, origin } => self.market_cancel_all(request, *origin, events),
            PeerMessage::Settle(settlement) => settle(&mut self.ledger, settlement, self.time),
            PeerMessage::Amend { request, origin } => self.market_amend(request, *origin, events),
            PeerMessage::Replace(replacing) => self.market_replace(replacing, events),
            PeerMessage::Shift { account, from, to, amount } => self.ledger.shift(*account, *from, *to, *amount),
            PeerMessage::Release { account, hold } => self.ledger.release(*account, *hold),
            PeerMessage::Reduce { account, hold, amount } => self.ledger.reduce(*account, *hold, *amount),
            PeerMessage::PayFee { account, hold, amount } => self.ledger.pay_fee(*account, *hold, *amount),
            PeerMessage::Registry(change) => self.follow(change.clone(), events),
            &PeerMessage::CancelOrders { account, symbol: Some(symbol) } => {
                self.cancel_orders(account, std::iter::once(symbol), CANCEL_NAME, events);
            }
            &PeerMessage::CancelOrders { account, symbol: None } => {
                self.cancel_all_orders(account, CANCEL_NAME, events);
            }
            &PeerMessage::CancelFrozen { account } => self.cancel_all_orders(account, FROZEN_CANCEL_NAME, events),
            PeerMessage::Session { request, origin } => self.market_session(request, *origin, events),
            PeerMessage::Continue => self.go_on(events),
            PeerMessage::AdmitList(admitted) => {
                let AdmittedList { list, funding, origin } = &**admitted;
                self.market_admit_list(list, funding, *origin, events);
            }
            PeerMessage::CancelList { request, origin } => self.market_cancel_list(request, *origin, events),
            PeerMessage::SettleInto { settlement, into } => {
                settle_into(&mut self.ledger, settlement, *into, self.time);
            }
            &PeerMessage::CountOrders { account, limit, from } => self.tell_counted(account, limit, from),
            &PeerMessage::OrdersCounted { account, limit, ref holds, next } => {
                self.take_counted(account, limit, holds, next);
            }
        }
    }

    /// Refuses a client's request that another partition has passed on; the funds of an order are free again.
    #[cold]
    fn refuse_request(&mut self, message: &PeerMessage, refusal: Refusal, events: &mut Events) {
        let origin = match message {
            PeerMessage::Admit(admitted) => {
                self.accounts().release_order(&admitted.order, admitted.hold);
                admitted.origin
            }
            PeerMessage::Replace(replacing) => {
                self.accounts().release_order(&replacing.request.order, replacing.hold);
                replacing.origin
            }
            PeerMessage::AdmitList(admitted) => {
                self.accounts().release_list(admitted.list.account, &admitted.funding);
                admitted.origin
            }
            PeerMessage::Cancel { origin, .. }
            | PeerMessage::CancelAll { origin, .. }
            | PeerMessage::CancelList { origin, .. }
            | PeerMessage::Amend { origin, .. }
            | PeerMessage::Session { origin, .. } => *origin,
            _ => unreachable!("not a client's request"),
        };
        events.refuse(origin, refusal);
    }

    #[inline]
    fn market_admit(&mut self, order: &NewOrder, funding: Funding, origin: Origin, events: &mut Events) {
        let (matcher, mut accounts) = self.market(order.terms.symbol);
        match matcher {
            Some(_) if accounts.outbox.is_used_up() => {
                accounts.release_order(order, funding.hold);
                events.refuse(origin, Refusal::NumbersUsedUp);
            }
            Some(matcher) => {
                matcher.admit(order, funding, origin, &mut accounts, events);
                self.note_work(order.terms.symbol);
            }
            // Another partition may learn of a market before this one does.
            _ => {
                accounts.release_order(order, funding.hold);
                events.refuse(origin, Refusal::UnknownSymbol);
            }
        }
    }

    #[inline]
    fn market_cancel(&mut self, request: &CancelOrder, origin: Origin, events: &mut Events) {
        let (matcher, mut accounts) = self.market(request.symbol);
        match matcher {
            Some(matcher) => matcher.cancel(request, origin, &mut accounts, events),
            _ => events.refuse(origin, Refusal::UnknownSymbol),
        }
    }

    fn market_cancel_all(&mut self, request: &CancelAll, origin: Origin, events: &mut Events) {
        let (matcher, mut accounts) = self.market(request.symbol);
        match matcher {
            Some(matcher) => {
                matcher.cancel_all(request, origin, &mut accounts, events);
                self.note_work(request.symbol);
            }
            _ => events.refuse(origin, Refusal::UnknownSymbol),
        }
    }

    /// Puts a market in which a command has left work behind those that have some already.
    #[inline]
    pub(crate) fn note_work(&mut self, symbol: SymbolId) {
        if let Some(Some(matcher)) = self.matchers.get_mut(symbol.0 as usize)
            && matcher.must_be_listed()
        {
            self.unfinished.push_back(symbol);
        }
    }

    /// Does the next part of the deferred work, in the market whose turn it is.
    fn go_on(&mut self, events: &mut Events) {
        let Some(symbol) = self.unfinished.pop_front() else { return };
        if let (Some(matcher), mut accounts) = self.market(symbol) {
            matcher.go_on(&mut accounts, events);
            self.note_work(symbol);
        }
    }

    /// Discards the deferred work in the market whose turn it is, or of that the auction: the next message to continue
    /// would fail as this one did.
    #[cold]
    fn give_up(&mut self, events: &mut Events) {
        let Some(symbol) = self.unfinished.pop_front() else { return };
        if let Some(Some(matcher)) = self.matchers.get_mut(symbol.0 as usize) {
            matcher.give_up(self.time, events);
            self.note_work(symbol);
        }
    }
}
