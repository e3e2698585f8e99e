//! The trading session of a market: its phase, and the circuit breaker that ends trading for a while. With it goes what
//! [`reference`](super::reference) is about.
//!
//! A market that has none of these and trades has no [`Session`] at all, so its orders pay one test of a pointer.
//! With a breaker, the prices in force within its window are known as the lowest and the highest of each tenth of it:
//! so the window covers at least its length and at most a tenth more, and costs the same however many trades it has.
//! The band of prices is what is within the move of all of them. It is fixed while an order trades: what the order
//! itself trades at counts for the next one.
//!
//! When an order would trade outside of the band, its rest ends, and the market pauses. Fill-or-kill orders count only
//! what is within the band, so they never trip a breaker.

use std::collections::VecDeque;

use crossbook_protocol::event::{Answer, Event, Events};
use crossbook_protocol::order::{NewOrder, Size};
use crossbook_protocol::peer::Origin;
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::session::{
    self, AUCTION_SECONDS_MAX, AuctionPrice, MovedSession, Phase, Reference, SessionChange, SessionRequest, WindowPart,
};
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{
    Breaker, MarketStatus, Price, PriceRange, ReferenceCalculation, SymbolId, TimeInForce, Timestamp, TradeBuckets,
};

use super::auction::{Auction, Search};
use super::inconsistent::Inconsistent;
use super::taker::{Bound, Reach, Stop, Taker};
use super::{Matcher, Traded, crosses};
use crate::outbox::Accounts;

/// Into how many parts a window is divided.
const PARTS: u64 = 10;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// The session of a market that is more than open.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Session {
    phase: Phase,
    /// When the phase ends.
    until: Option<Timestamp>,
    breaker: Option<Breaker>,
    /// The price that was in force before the first part.
    before: Option<Price>,
    /// The parts of the window in which there were trades, the oldest first.
    parts: VecDeque<WindowPart>,
    /// How far the auction is that is being matched.
    auction: Option<Auction>,
    /// For how many seconds orders are, or were, collected for the auction; `None` if until its operator ends that.
    collects: Option<u32>,
    /// The execution rule.
    pub(super) price_range: Option<PriceRange>,
    /// Where the reference price comes from.
    pub(super) reference: Option<Reference>,
    /// The trades of which the reference price is the mean.
    pub(super) buckets: TradeBuckets,
}

impl Session {
    fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it can be one of a market.
    fn is_sound(&self) -> bool {
        let ordered = self.parts.iter().is_sorted_by(|a, b| a.number < b.number);
        let sane = |part: &WindowPart| part.low <= part.last && part.last <= part.high && part.high <= Price::MAX;
        let none = self.parts.is_empty() && self.before.is_none();
        !self.is_plain()
            && ordered
            && self.parts.iter().all(sane)
            && self.parts.len() as u64 <= PARTS + 1
            && self.before.is_none_or(|before| before <= Price::MAX)
            && self.breaker.map_or(none, |breaker| breaker.is_sound())
            && match self.phase {
                Phase::Open | Phase::Matching => self.until.is_none(),
                Phase::Paused => self.until.is_some(),
                Phase::Collecting => true,
            }
            && match self.auction {
                None => self.phase != Phase::Matching,
                Some(Auction::Search(search)) => self.phase == Phase::Matching && search.is_sound(),
                Some(Auction::At(price)) => self.phase == Phase::Matching && price <= Price::MAX,
            }
            && self.collects.is_none_or(|seconds| {
                matches!(self.phase, Phase::Collecting | Phase::Matching)
                    && (1..=AUCTION_SECONDS_MAX).contains(&seconds)
            })
            && self.price_range.is_none_or(|range| range.is_sound())
            && self.is_reference_sound()
    }

    fn is_reference_sound(&self) -> bool {
        let Some(Reference { calculation, external }) = self.reference else { return self.buckets.0.is_empty() };
        let sound = match calculation {
            ReferenceCalculation::ArithmeticMean(mean) => external.is_none() && self.buckets.is_sound(mean),
            ReferenceCalculation::External { .. } => self.buckets.0.is_empty(),
        };
        let price = external.and_then(|external| external.price);
        sound && calculation.is_sound() && price.is_none_or(|price| price.is_sound())
    }

    fn number(breaker: &Breaker, time: Timestamp) -> u64 {
        time.0 / (u64::from(breaker.window_seconds) * MICROS_PER_SECOND / PARTS)
    }

    /// Forgets what is older than the window.
    fn advance(&mut self, number: u64) {
        while let Some(part) = self.parts.pop_front_if(|part| part.number.saturating_add(PARTS) < number) {
            self.before = Some(part.last);
        }
    }

    /// The lowest and the highest price at which a trade may be now; `None`: any.
    pub(super) fn band(&mut self, time: Timestamp) -> Option<(Price, Price)> {
        let breaker = self.breaker?;
        self.advance(Self::number(&breaker, time));
        let parts = self.parts.iter().map(|part| (part.low, part.high));
        let before = self.before.map(|price| (price, price));
        let in_force = parts.chain(before).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let (low, high) = in_force.map(|(low, high)| breaker.band(low, high))?;
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::BreakerSeesRisesOnly) {
            return Some((Price(0), high));
        }
        Some((low, high))
    }

    /// There were trades in this range of prices, the last at this one.
    fn record(&mut self, range: Traded, last: Price, time: Timestamp) {
        let Some(breaker) = &self.breaker else { return };
        let number = Self::number(breaker, time);
        self.advance(number);
        let Traded { low, high } = range;
        match self.parts.back_mut().filter(|part| part.number == number) {
            Some(part) => *part = WindowPart { number, low: part.low.min(low), high: part.high.max(high), last },
            None => self.parts.push_back(WindowPart { number, low, high, last }),
        }
    }

    /// Forgets all prices. Until the next trade any price is allowed, or what is within the move of this one.
    fn forget(&mut self, price: Option<Price>) {
        self.parts.clear();
        self.before = price.filter(|_| self.breaker.is_some());
    }

    fn published(&self, symbol: SymbolId) -> session::Session {
        let &Self { phase, until, breaker, price_range, reference, .. } = self;
        session::Session { symbol, phase, until, breaker, price_range, reference }
    }
}

impl Matcher {
    /// What the market shows as its status.
    fn status_now(&self) -> MarketStatus {
        let phase = self.session.as_ref().map_or(Phase::Open, |session| session.phase);
        phase.status(self.market.status)
    }

    pub(super) fn renew_status(&mut self) {
        self.status = self.status_now();
    }

    /// Changes the session and answers.
    pub(crate) fn change_session(
        &mut self,
        request: &SessionRequest,
        origin: Origin,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        let symbol = self.market.id;
        match self.try_to_change(request.change, accounts, events) {
            Ok(()) => {
                let session = self.session.as_ref().map(|session| session.published(symbol));
                events.answer(origin, || Answer::SessionChanged(session.unwrap_or(session::Session::plain(symbol))));
            }
            Err(refusal) => events.refuse(origin, refusal),
        }
    }

    fn try_to_change(
        &mut self,
        change: SessionChange,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        match change {
            SessionChange::SetBreaker(breaker) => {
                if breaker.is_some_and(|breaker| !breaker.is_sound()) {
                    return Err(Refusal::BreakerRange);
                }
                if self.is_matching() {
                    return Err(Refusal::AuctionMatching);
                }
                let last = self.last_price;
                let session = self.session.get_or_insert_default();
                session.breaker = breaker;
                session.forget(last);
                self.session_changed(events);
            }
            SessionChange::End => match self.phase() {
                Phase::Open => return Err(Refusal::NoSuchPhase),
                Phase::Matching => return Err(Refusal::AuctionMatching),
                Phase::Collecting if self.market.status != MarketStatus::Trading => {
                    return Err(Refusal::MarketClosed(self.market.status));
                }
                Phase::Collecting | Phase::Paused => self.end_phase(accounts, events),
            },
            SessionChange::OpenAuction { seconds } => {
                if seconds.is_some_and(|seconds| !(1..=AUCTION_SECONDS_MAX).contains(&seconds)) {
                    return Err(Refusal::AuctionTooLong);
                }
                if self.is_matching() {
                    return Err(Refusal::AuctionMatching);
                }
                self.collect(seconds, accounts.now, events);
            }
            SessionChange::Pass { until } => {
                let due = self.session.as_ref().is_some_and(|session| session.until == Some(until));
                if !due || !self.has_passed(accounts) {
                    return Err(Refusal::NoSuchPhase);
                }
                self.end_phase(accounts, events);
            }
            SessionChange::SetPriceRange(range) => self.set_price_range(range, events)?,
            SessionChange::SetReference(calculation) => self.set_reference(calculation, events)?,
            SessionChange::SetReferencePrice(price) => self.set_reference_price(price, accounts.now, events)?,
        }
        Ok(())
    }

    pub(super) fn phase(&self) -> Phase {
        self.session.as_ref().map_or(Phase::Open, |session| session.phase)
    }

    /// Whether the end of the phase has come. While the operator keeps the market from trading, no phase ends by
    /// itself.
    fn has_passed(&self, accounts: &Accounts<'_>) -> bool {
        let until = self.session.as_ref().and_then(|session| session.until);
        self.market.status == MarketStatus::Trading && until.is_some_and(|until| until <= accounts.now)
    }

    /// Ends a phase whose time has come, before anything else happens in a market that is not open.
    #[cold]
    pub(super) fn pass_time(&mut self, accounts: &mut Accounts<'_>, events: &mut Events) {
        if self.has_passed(accounts) {
            self.end_phase(accounts, events);
        }
    }

    /// Whether what was collected for an auction is being matched.
    #[inline]
    pub(super) fn is_matching(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.phase == Phase::Matching)
    }

    /// Whether an order may be taken in a market that is not open: an order that can wait for an auction.
    #[cold]
    pub(super) fn check_collected(&self, order: &NewOrder) -> Result<(), Refusal> {
        if self.status != MarketStatus::AuctionMatch || self.is_matching() {
            return Err(Refusal::MarketClosed(self.status));
        }
        let terms = &order.terms;
        let rests = terms.order_type.has_limit_price() && terms.time_in_force == TimeInForce::Gtc;
        if rests || terms.order_type.is_conditional() { Ok(()) } else { Err(Refusal::NotInAuction) }
    }

    /// Ends the phase: what was collected is matched, and a market that has paused reopens, or collects.
    fn end_phase(&mut self, accounts: &mut Accounts<'_>, events: &mut Events) {
        let Some(session) = &self.session else { return };
        match (session.phase, session.breaker.map_or(0, |breaker| breaker.auction_seconds)) {
            (Phase::Collecting, _) => self.begin_matching(accounts, events),
            (Phase::Paused, 1..) => {
                self.collect(session.breaker.map(|breaker| breaker.auction_seconds), accounts.now, events)
            }
            // Else the market would come to the same price again and stop there again.
            _ => self.open_session(None, events),
        }
    }

    /// The market trades. Until the next trade any price is allowed, or what is within the move of this one.
    fn open_session(&mut self, price: Option<Price>, events: &mut Events) {
        let Some(session) = &mut self.session else { return };
        (session.phase, session.until) = (Phase::Open, None);
        (session.auction, session.collects) = (None, None);
        session.forget(price);
        self.session_changed(events);
    }

    /// The market collects orders from now on, for so many seconds.
    fn collect(&mut self, seconds: Option<u32>, now: Timestamp, events: &mut Events) {
        let session = self.session.get_or_insert_default();
        let until = |seconds| now.0.saturating_add(u64::from(seconds) * MICROS_PER_SECOND);
        (session.phase, session.collects) = (Phase::Collecting, seconds);
        session.until = seconds.map(|seconds| Timestamp(until(seconds)));
        self.session_changed(events);
    }

    /// What was collected is matched from now on, as far as one command does.
    fn begin_matching(&mut self, accounts: &mut Accounts<'_>, events: &mut Events) {
        let Some(session) = &mut self.session else { return };
        (session.phase, session.until) = (Phase::Matching, None);
        session.auction = Some(Auction::Search(Search::default()));
        self.session_changed(events);
        self.steps = 0;
        self.go_on_matching(accounts, events);
    }

    /// Does the next part of an auction.
    pub(super) fn go_on_matching(&mut self, accounts: &mut Accounts<'_>, events: &mut Events) {
        let Some(auction) = self.session.as_ref().and_then(|session| session.auction) else { return };
        let price = match auction {
            Auction::At(price) => price,
            Auction::Search(mut search) => {
                if !self.search(&mut search, accounts.work.levels_checked) {
                    return self.keep(Auction::Search(search));
                }
                let Some((price, quantity)) = self.price_of(&search) else { return self.open_session(None, events) };
                events.push(Event::AuctionPriced(AuctionPrice { symbol: self.market.id, price, quantity }));
                price
            }
        };
        if !self.match_auction(price, accounts.work.continued, accounts, events) {
            return self.keep(Auction::At(price));
        }
        self.open_session(Some(price), events);
        self.trigger_after_auction(price, accounts, events);
    }

    fn keep(&mut self, auction: Auction) {
        if let Some(session) = &mut self.session {
            session.auction = Some(auction);
        }
    }

    /// The operator has passed over a command that was to go on with an auction: the market collects orders again, for
    /// as long as it did before.
    pub(super) fn give_up_matching(&mut self, now: Timestamp, events: &mut Events) {
        if let Some(session) = self.session.as_mut().filter(|session| session.phase == Phase::Matching) {
            session.auction = None;
            let seconds = session.collects;
            self.collect(seconds, now, events);
        }
    }

    /// The circuit breaker trips.
    pub(super) fn trip(&mut self, accounts: &Accounts<'_>, events: &mut Events) {
        let Some(session) = &mut self.session else { return };
        let Some(breaker) = session.breaker else { return };
        let pause = u64::from(breaker.pause_seconds) * MICROS_PER_SECOND;
        session.phase = Phase::Paused;
        session.until = Some(Timestamp(accounts.now.0.saturating_add(pause)));
        session.forget(None);
        self.session_changed(events);
    }

    /// Publishes the session, and forgets one that is nothing but open.
    pub(super) fn session_changed(&mut self, events: &mut Events) {
        let Some(session) = &self.session else { return };
        events.push(Event::SessionChanged(session.published(self.market.id)));
        if session.is_plain() {
            self.session = None;
        }
        self.renew_status();
    }

    /// How far an order may take, besides its limit.
    #[cold]
    pub(super) fn reach(&mut self, taker: &Taker, accounts: &Accounts<'_>) -> Reach {
        if self.phase() == Phase::Collecting {
            return Reach::Collected;
        }
        let met = self.open.best(taker.order.side.opposite());
        match &mut self.session {
            Some(session) => session.reach(taker, met, accounts.now),
            None => Reach::UpTo(taker.limit, Bound::Band),
        }
    }

    /// An order has taken what it could: counts its trades for the breaker. Why it stopped, which may be the breaker or
    /// the execution rule.
    #[cold]
    pub(super) fn stopped(
        &mut self,
        stop: Stop,
        taker: &Taker,
        reach: Reach,
        traded: Option<Traded>,
        accounts: &Accounts<'_>,
    ) -> Stop {
        let Some(session) = &mut self.session else { return stop };
        if let (Some(range), Some(last)) = (traded, self.last_price) {
            session.record(range, last, accounts.now);
        }
        let bound = match reach {
            Reach::Collected => None,
            Reach::Nothing(bound) => Some(bound),
            Reach::UpTo(reach, bound) => (reach != taker.limit).then_some(bound),
        };
        let may_end = stop == Stop::NoneLeft && taker.order.time_in_force != TimeInForce::Fok;
        let Some(bound) = bound.filter(|_| may_end) else { return stop };
        let side = taker.order.side;
        let met = self.open.best(side.opposite());
        let Some(price) = met.filter(|&met| taker.limit.is_none_or(|limit| crosses(side, limit, met))) else {
            return stop;
        };
        let wanted = match taker.left {
            Size::Base(quantity) => quantity,
            Size::Quote(amount) => self.market.affordable(price, amount),
        };
        // What keeps it from trading there whatever these say comes first.
        match wanted.is_zero() {
            true => Stop::Satisfied,
            false if taker.most.is_zero() => Stop::Largest,
            false if self.affordable(taker, price).is_zero() => Stop::Unaffordable,
            false => Stop::OutOf(bound),
        }
    }

    /// The session as it moves to another venue.
    pub(crate) fn moving_session(&self) -> Option<MovedSession> {
        let session = self.session.as_ref()?;
        let (parts, buckets) = (&session.parts, &session.buckets.0);
        Some(MovedSession {
            session: session.published(self.market.id),
            before: session.before,
            parts: parts.iter().copied().collect(),
            buckets: buckets.iter().copied().collect(),
        })
    }

    /// Takes over the session that the market had elsewhere.
    pub(crate) fn move_session_in(&mut self, moved: &MovedSession) -> Result<(), Inconsistent> {
        let session::Session { phase, until, breaker, price_range, reference, .. } = moved.session;
        let parts = moved.parts.iter().copied().collect();
        let buckets = TradeBuckets(moved.buckets.iter().copied().collect());
        let session = Session {
            phase,
            until,
            breaker,
            before: moved.before,
            parts,
            auction: None,
            collects: None,
            price_range,
            reference,
            buckets,
        };
        self.restore_session(Some(session))
    }

    pub(super) fn session_state(&self) -> Option<Session> {
        self.session.as_deref().cloned()
    }

    pub(super) fn restore_session(&mut self, session: Option<Session>) -> Result<(), Inconsistent> {
        let highest = self.market.highest_price();
        let is_sound = |session: &Session| {
            let price = session.reference.and_then(|reference| reference.external?.price);
            session.is_sound() && price.is_none_or(|price| price.is_possible(highest))
        };
        if session.as_ref().is_some_and(|session| !is_sound(session)) {
            return Err(Inconsistent);
        }
        self.session = session.map(Box::new);
        self.renew_status();
        self.follow_prices();
        Ok(())
    }
}

wire_struct! {
    Session {
        0: phase, 1: until, 2: breaker, 3: before, 4: parts, 5: auction;
        optional 6: collects, 7: price_range, 8: reference, 9: buckets,
    }
}
