//! Sessions of the naive exchange's markets: circuit breakers that look at every trade there was, and auctions.

use crossbook_protocol::event::Event;
use crossbook_protocol::order::NewOrder;
use crossbook_protocol::session::{AUCTION_SECONDS_MAX, Phase, Reference, Session, SessionChange, SessionRequest};
use crossbook_protocol::{Answer, Refusal};
use crossbook_types::{Breaker, MarketStatus, OrderType, PriceRange, SymbolId, TimeInForce, Timestamp};

use super::auction::Auction;
use super::{Book, Model};

/// The session of a market.
#[derive(Clone, Debug, Default)]
pub(super) struct Halts {
    breaker: Option<Breaker>,
    phase: Phase,
    /// When the phase ends.
    until: Option<Timestamp>,
    auction: Auction,
    /// The price at which the breaker began to look.
    first: Option<u64>,
    /// All trades since then.
    trades: Vec<(Timestamp, u64)>,
    pub(super) price_range: Option<PriceRange>,
    pub(super) reference: Option<Reference>,
    /// All trades since the reference price is calculated as it is.
    pub(super) referred: Vec<(Timestamp, u64)>,
}

impl Halts {
    fn published(&self, symbol: SymbolId) -> Session {
        let &Self { phase, until, breaker, price_range, reference, .. } = self;
        Session { symbol, phase, until, breaker, price_range, reference }
    }

    /// The lowest and the highest price that an order may trade at now.
    pub(super) fn band(&self, now: Timestamp) -> Option<(u64, u64)> {
        let breaker = self.breaker?;
        // A tenth of the window, in microseconds.
        let tenth = u64::from(breaker.window_seconds) * 100_000;
        let is_old = |time: Timestamp| time.0 / tenth + 10 < now.0 / tenth;
        let recent = self.trades.iter().filter(|(time, _)| !is_old(*time)).map(|&(_, price)| price);
        let before = self.trades.iter().rfind(|(time, _)| is_old(*time)).map(|&(_, price)| price).or(self.first);
        let prices: Vec<u64> = recent.chain(before).collect();
        let (low, high) = (*prices.iter().min()?, *prices.iter().max()?);
        let step = u64::from(breaker.move_bp);
        let down = high * 10_000_u64.saturating_sub(step);
        Some((down / 10_000 + u64::from(down % 10_000 != 0), low * (10_000 + step) / 10_000))
    }

    fn forget(&mut self, price: Option<u64>) {
        self.first = price.filter(|_| self.breaker.is_some());
        self.trades.clear();
    }
}

impl Book {
    /// What the market shows as its status.
    pub(super) fn status(&self) -> MarketStatus {
        match (self.market.status, self.halts.phase) {
            (MarketStatus::Trading, Phase::Paused) => MarketStatus::CancelOnly,
            (MarketStatus::Trading, Phase::Collecting | Phase::Matching) => MarketStatus::AuctionMatch,
            (status, _) => status,
        }
    }

    pub(super) fn is_matching(&self) -> bool {
        self.halts.phase == Phase::Matching
    }

    pub(super) fn is_collecting(&self) -> bool {
        self.halts.phase == Phase::Collecting
    }

    /// Whether the market takes an order now.
    pub(super) fn check_status(&self, order: &NewOrder) -> Result<(), Refusal> {
        match self.status() {
            MarketStatus::Trading => Ok(()),
            MarketStatus::AuctionMatch if self.is_collecting() => {
                let conditional = order.terms.waits();
                let rests = match order.terms.order_type {
                    OrderType::LimitMaker => true,
                    OrderType::Limit => order.terms.time_in_force == TimeInForce::Gtc,
                    _ => false,
                };
                if conditional || rests { Ok(()) } else { Err(Refusal::NotInAuction) }
            }
            status => Err(Refusal::MarketClosed(status)),
        }
    }
}

impl Model {
    /// The session of a market.
    ///
    /// # Panics
    /// When there is no such market.
    #[must_use]
    pub fn session_of(&self, symbol: SymbolId) -> Session {
        self.books[symbol.0 as usize].halts.published(symbol)
    }

    pub(super) fn session(&mut self, request: &SessionRequest) -> Result<Answer, Refusal> {
        let &SessionRequest { symbol, change } = request;
        let now = self.time;
        let listed = |book: &&mut Book| book.market.status != MarketStatus::Delisted;
        let book = self.books.get_mut(symbol.0 as usize).filter(listed).ok_or(Refusal::UnknownSymbol)?;
        let (phase, open) = (book.halts.phase, book.market.status == MarketStatus::Trading);
        if self.change_reference(symbol, change)? {
            self.note_work(symbol);
            return Ok(Answer::SessionChanged(self.session_of(symbol)));
        }
        let book = &mut self.books[symbol.0 as usize];
        match change {
            SessionChange::SetBreaker(Some(breaker)) if !breaker.is_sound() => return Err(Refusal::BreakerRange),
            SessionChange::OpenAuction { seconds: Some(seconds) } if seconds == 0 || seconds > AUCTION_SECONDS_MAX => {
                return Err(Refusal::AuctionTooLong);
            }
            SessionChange::Pass { until } if book.halts.until != Some(until) || until > now || !open => {
                return Err(Refusal::NoSuchPhase);
            }
            _ if phase == Phase::Matching => return Err(Refusal::AuctionMatching),
            SessionChange::SetBreaker(breaker) => {
                book.halts.breaker = breaker;
                let last = book.last;
                book.halts.forget(last);
                self.publish_session(symbol);
            }
            SessionChange::OpenAuction { seconds } => self.collect(symbol, seconds),
            SessionChange::End if phase == Phase::Open => return Err(Refusal::NoSuchPhase),
            SessionChange::End if phase == Phase::Collecting && !open => {
                return Err(Refusal::MarketClosed(book.market.status));
            }
            _ => self.end_phase(symbol),
        }
        self.note_work(symbol);
        Ok(Answer::SessionChanged(self.books[symbol.0 as usize].halts.published(symbol)))
    }

    fn end_phase(&mut self, symbol: SymbolId) {
        let halts = &mut self.books[symbol.0 as usize].halts;
        let seconds = halts.breaker.map_or(0, |breaker| breaker.auction_seconds);
        if halts.phase == Phase::Collecting {
            (halts.phase, halts.until, halts.auction) = (Phase::Matching, None, Auction::default());
            self.publish_session(symbol);
            self.steps = 0;
            self.go_on_matching(symbol);
        } else if seconds > 0 {
            self.collect(symbol, Some(seconds));
        } else {
            self.reopen(symbol, None);
        }
    }

    fn collect(&mut self, symbol: SymbolId, seconds: Option<u32>) {
        let until = seconds.map(|seconds| Timestamp(self.time.0 + u64::from(seconds) * 1_000_000));
        let halts = &mut self.books[symbol.0 as usize].halts;
        (halts.phase, halts.until) = (Phase::Collecting, until);
        self.publish_session(symbol);
    }

    fn reopen(&mut self, symbol: SymbolId, price: Option<u64>) {
        let halts = &mut self.books[symbol.0 as usize].halts;
        (halts.phase, halts.until) = (Phase::Open, None);
        halts.forget(price);
        self.publish_session(symbol);
    }

    pub(super) fn go_on_matching(&mut self, symbol: SymbolId) {
        let at = symbol.0 as usize;
        let mut auction = self.books[at].halts.auction;
        let done = self.match_some(symbol, &mut auction);
        self.books[at].halts.auction = auction;
        let Some(price) = done else { return };
        self.reopen(symbol, price);
        if let Some(price) = price {
            self.note_prices(symbol, &[price]);
            self.reach(symbol, &[price]);
            self.trigger(symbol, self.bounds.continued);
        }
    }

    /// An order comes after the end of a phase.
    pub(super) fn pass_time(&mut self, symbol: SymbolId) {
        let book = &self.books[symbol.0 as usize];
        let over = book.halts.until.is_some_and(|until| until <= self.time);
        if over && book.market.status == MarketStatus::Trading {
            self.end_phase(symbol);
        }
    }

    pub(super) fn publish_session(&mut self, symbol: SymbolId) {
        let session = self.books[symbol.0 as usize].halts.published(symbol);
        self.events.push(Event::SessionChanged(session));
    }

    /// Trades were made at these prices.
    pub(super) fn watch(&mut self, symbol: SymbolId, prices: &[u64]) {
        let trades = prices.iter().map(|&price| (self.time, price));
        self.books[symbol.0 as usize].halts.trades.extend(trades);
    }

    pub(super) fn trip(&mut self, symbol: SymbolId) {
        let halts = &mut self.books[symbol.0 as usize].halts;
        let seconds = halts.breaker.unwrap().pause_seconds;
        halts.until = Some(Timestamp(self.time.0 + u64::from(seconds) * 1_000_000));
        halts.phase = Phase::Paused;
        halts.forget(None);
        self.publish_session(symbol);
    }
}
