//! Sessions of markets: nothing trades further from the prices of before than the circuit breaker allows, and what
//! would, ends with the market pausing; nor does anything trade that the execution rule does not allow, and what would,
//! ends alone.

use crossbook_protocol::event::{CloseReason, OrderClosed, Trade};
use crossbook_protocol::session::{AuctionPrice, Phase, Reference, Session};
use crossbook_types::{Breaker, MarketStatus, Mean, Price, PriceRange, ReferenceCalculation, Side, Timestamp};

use super::{Book, Judge, Running};
use crate::violation::{Violation, ensure};

/// What is known of a market's session.
#[derive(Clone, Debug, Default)]
pub(super) struct Sitting {
    breaker: Option<Breaker>,
    pub(super) phase: Phase,
    /// When the phase ends.
    until: Option<Timestamp>,
    /// The price of the auction that is being matched, once it is known, and how much of it is still to be traded.
    auction: Option<(Price, u64)>,
    /// The price of the last trade of all.
    pub(super) last: Option<Price>,
    /// The price at which the breaker began to watch, and all trades since then.
    first: Option<Price>,
    watched: Vec<(Timestamp, Price)>,
    price_range: Option<PriceRange>,
    reference: Option<Reference>,
    /// All trades since the reference price is calculated as it is.
    referred: Vec<(Timestamp, Price)>,
}

/// Sums of trades: how many, in ten-thousandths, and their prices, in ten-thousandths of millionths of a tick.
type Sums = (u128, u128);

impl Sitting {
    /// The prices at which an order of that side may trade by the execution rule, if it begins to trade now.
    pub(super) fn range(&self, side: Side, now: Timestamp) -> Option<(Price, Price)> {
        let (rule, reference) = (self.price_range?, self.reference?);
        let (count, sum) = match reference.calculation {
            ReferenceCalculation::ArithmeticMean(mean) => self.in_window(mean, now.0 / 1_000),
            ReferenceCalculation::External { .. } => (1, u128::from(reference.external?.price?.0)),
        };
        let price = sum.checked_div(count)?;
        let (down, up) = match side {
            Side::Buy => (rule.bid_down, rule.bid_up),
            Side::Sell => (rule.ask_down, rule.ask_up),
        };
        let times = |multiplier: Option<u32>| multiplier.map(|by| price * u128::from(by));
        let whole = 10_000 * 1_000_000;
        let (below, beside) = (price / 1_000_000, u128::from(price % 1_000_000 > 0));
        // The ticks next to the reference price are always within it.
        let lowest = times(down).map_or(0, |least| (least / whole + u128::from(least % whole > 0)).min(below));
        let highest = times(up).map_or(u128::from(Price::MAX.0), |most| (most / whole).max(below + beside));
        Some((Price(lowest as u64), Price(highest as u64)))
    }

    /// What the window that ends at a millisecond contains. Of the bucket into which it reaches in part it contains
    /// that part.
    fn in_window(&self, mean: Mean, millis: u64) -> Sums {
        let (width, length) = (u64::from(mean.width_ms), u64::from(mean.width_ms) * u64::from(mean.buckets));
        let mut all = (0, 0);
        let mut oldest: Sums = (0, 0);
        for (time, price) in &self.referred {
            let opens = time.0 / 1_000 / width * width;
            // Those of a bucket whose end has left the window are out; those of one whose beginning has are in part.
            let into = match (opens + width + length <= millis, opens + length < millis) {
                (true, _) => continue,
                (false, true) => &mut oldest,
                (false, false) => &mut all,
            };
            *into = (into.0 + 10_000, into.1 + u128::from(price.0) * 1_000_000 * 10_000);
        }
        if oldest.0 > 0 {
            let left = oldest.0 * u128::from(width - millis % width) / u128::from(width);
            all = (all.0 + left, all.1 + oldest.1 * left / oldest.0);
        }
        all
    }

    /// The prices that an order may trade at that begins to trade now.
    pub(super) fn band(&self, now: Timestamp) -> Option<(Price, Price)> {
        let breaker = self.breaker?;
        let tenth = u64::from(breaker.window_seconds) * 100_000;
        let (old, recent): (Vec<_>, Vec<_>) =
            self.watched.iter().partition(|(time, _)| now.0 / tenth - time.0 / tenth > 10);
        let in_force = old.last().map(|&(_, price)| price).or(self.first);
        let prices = || recent.iter().map(|&(_, price)| price).chain(in_force);
        let (low, high) = (prices().min()?, prices().max()?);
        let step = u128::from(breaker.move_bp);
        let (low, high) = (u128::from(low.0), u128::from(high.0));
        // No further than the move from each of these: the lowest bounds it upwards, the highest downwards.
        let up = low * (10_000 + step) / 10_000;
        let down = (high * 10_000).saturating_sub(high * step);
        Some((Price((down / 10_000 + u128::from(down % 10_000 != 0)) as u64), Price(up as u64)))
    }

    pub(super) fn traded(&mut self, time: Timestamp, price: Price) {
        self.last = Some(price);
        self.watched.push((time, price));
        if self.reference.is_some() {
            self.referred.push((time, price));
        }
    }

    /// Learns of the execution rule and of the reference price. Whether one of them has changed.
    fn refers(&mut self, session: &Session) -> bool {
        let &Session { price_range, reference, .. } = session;
        let changed = (price_range, reference) != (self.price_range, self.reference);
        let calculation = |reference: Option<Reference>| reference.map(|reference| reference.calculation);
        if calculation(reference) != calculation(self.reference) {
            self.referred.clear();
        }
        (self.price_range, self.reference) = (price_range, reference);
        changed
    }
}

impl Judge {
    pub(super) fn session_changed(&mut self, session: &Session, running: &mut Running) -> Result<(), Violation> {
        let &Session { symbol, phase, until, breaker, .. } = session;
        let now = running.time;
        running.auctioned |= phase == Phase::Open;
        let book = self.book(symbol)?;
        let crossed = book.is_crossed();
        let sitting = &mut book.sitting;
        let before = sitting.phase;
        if sitting.refers(session) {
            let same = (before, sitting.until, sitting.breaker) == (phase, until, breaker);
            ensure!(same, Market, "the rule or the reference price of market {symbol} changes with its session");
            return Ok(());
        }
        ensure!(
            phase == before || breaker == sitting.breaker,
            Market,
            "market {symbol} gets another breaker in another phase"
        );
        let after = |seconds: fn(&Breaker) -> u32| {
            let seconds = sitting.breaker.as_ref().map(seconds);
            seconds.map(|seconds| Timestamp(now.0 + u64::from(seconds) * 1_000_000))
        };
        match (before, phase) {
            // Orders are collected, from now on or for another time than before.
            (Phase::Open | Phase::Collecting, Phase::Collecting) if breaker == sitting.breaker => {}
            (Phase::Paused, Phase::Collecting) => {}
            // The breaker was set.
            (Phase::Open, Phase::Open) | (Phase::Paused, Phase::Paused) | (Phase::Collecting, Phase::Collecting) => {
                ensure!(until == sitting.until, Market, "a breaker of market {symbol} changes the end of the phase");
                sitting.first = sitting.last.filter(|_| breaker.is_some());
                sitting.watched.clear();
            }
            (Phase::Open, Phase::Paused) => {
                let due = after(|breaker| breaker.pause_seconds);
                ensure!(until == due, Market, "market {symbol} pauses until {until:?}, due was {due:?}");
                ensure!(running.ended_by_venue.take() == Some(symbol), Market, "market {symbol} pauses for nothing");
                (sitting.first, sitting.watched) = (None, Vec::new());
            }
            (Phase::Paused, Phase::Open) => {
                let due = after(|breaker| breaker.auction_seconds).is_none_or(|until| until == now);
                ensure!(due, Market, "market {symbol} reopens without an auction");
                (sitting.first, sitting.watched) = (None, Vec::new());
            }
            (Phase::Collecting, Phase::Matching) => sitting.auction = None,
            (Phase::Matching, Phase::Open) => {
                ensure!(!crossed, Market, "market {symbol} is crossed after its auction");
                let left = sitting.auction.is_some_and(|(_, left)| left > 0);
                ensure!(
                    !left,
                    Market,
                    "an auction of market {symbol} ends before all has traded: {:?}",
                    sitting.auction
                );
                sitting.first = sitting.auction.map(|(price, _)| price).filter(|_| breaker.is_some());
                sitting.watched.clear();
            }
            (before, phase) => ensure!(false, Market, "the session of {symbol} goes from {before:?} to {phase:?}"),
        }
        (sitting.breaker, sitting.phase, sitting.until) = (breaker, phase, until);
        Ok(())
    }

    /// The price of an auction is one at which most trades, of these one that leaves the least, of these the nearest.
    pub(super) fn auction_priced(&mut self, priced: &AuctionPrice) -> Result<(), Violation> {
        let &AuctionPrice { symbol, price, quantity } = priced;
        let book = self.book(symbol)?;
        ensure!(book.sitting.phase == Phase::Matching, Market, "market {symbol} has the price of no auction");
        let at = |price: Price| {
            let sum = |side: Side| -> u64 {
                let resting = book.open.values().filter(|open| open.since.is_some() && open.placed.terms.side == side);
                let trades = |open: &&super::Open| match side {
                    Side::Buy => open.placed.terms.price >= Some(price),
                    Side::Sell => open.placed.terms.price <= Some(price),
                };
                resting.filter(trades).map(super::Open::lots).sum()
            };
            let (bid, offered) = (sum(Side::Buy), sum(Side::Sell));
            (bid.min(offered), bid.abs_diff(offered))
        };
        let prices: Vec<u64> =
            book.open.values().filter_map(|open| open.placed.terms.price).map(|price| price.0).collect();
        let (low, high) = (prices.iter().min().copied().unwrap_or(0), prices.iter().max().copied().unwrap_or(0));
        let (volume, left_over) = at(price);
        ensure!(volume == quantity.0 && volume > 0, Market, "at {price:?} {volume} lots trade, not {quantity:?}");
        let distance = |price: u64| book.sitting.last.map(|last| price.abs_diff(last.0));
        let better = (low..=high).find(|&other| {
            let (more, less) = at(Price(other));
            (more, std::cmp::Reverse(less)) > (volume, std::cmp::Reverse(left_over))
                || (more, less) == (volume, left_over) && distance(other) < distance(price.0)
        });
        ensure!(better.is_none(), Market, "an auction of market {symbol} is at {price:?}, {better:?} is better");
        book.sitting.auction = Some((price, quantity.0));
        Ok(())
    }

    /// Whether a trade is the next one of the order that works, at a price that the breaker allows.
    pub(super) fn is_next(book: &Book, trade: &Trade, running: &Running) -> Result<(), Violation> {
        let &Trade { symbol, trade: id, price, taker_side, taker, maker, .. } = trade;
        ensure!(running.worker == Some((symbol, taker.order)), Market, "order {} trades out of turn", taker.order);
        let best = book.best(taker_side.opposite());
        ensure!(
            best == Some((maker.order, price)),
            Market,
            "trade {id} is with {maker:?} at {price:?}, due was {best:?}"
        );
        for (bound, who) in [(running.band, "breaker"), (running.range, "execution rule")] {
            let allowed = bound.is_none_or(|(low, high)| low <= price && price <= high);
            ensure!(allowed, Market, "trade {id} is at {price:?}, the {who} allows {bound:?}");
        }
        Ok(())
    }

    /// Whether a trade is the next one of an auction.
    pub(super) fn traded_in_auction(book: &mut Book, trade: &Trade) -> Result<(), Violation> {
        let &Trade { trade: id, price, quantity, taker_side, taker, maker, .. } = trade;
        let (bid, ask) = match taker_side {
            Side::Buy => (taker, maker),
            Side::Sell => (maker, taker),
        };
        let best = |side| book.best(side).map(|(order, _)| order);
        ensure!(
            best(Side::Buy) == Some(bid.order) && best(Side::Sell) == Some(ask.order),
            Market,
            "trade {id} of an auction is not between the first of both sides"
        );
        ensure!(taker.order > maker.order, Market, "the taker of trade {id} was there before");
        let left =
            book.sitting.auction.filter(|&(at, _)| at == price).and_then(|(_, left)| left.checked_sub(quantity.0));
        ensure!(left.is_some(), Market, "trade {id} at {price:?} is none of the auction {:?}", book.sitting.auction);
        book.sitting.auction = left.map(|left| (price, left));
        Ok(())
    }

    /// An order ends because the next one that it would trade with is out of the band, or of the range of the rule.
    pub(super) fn ended_outside(book: &Book, closed: &OrderClosed, running: &mut Running) -> Result<(), Violation> {
        let &OrderClosed { symbol, order, reason, .. } = closed;
        let open = book.open.get(&order);
        // All orders of a market that is delisted end.
        let is_out = running.worker != Some((symbol, order)) && reason == CloseReason::ByVenue;
        if is_out && book.market.status == MarketStatus::Delisted {
            return Ok(());
        }
        ensure!(running.worker == Some((symbol, order)), Market, "order {order} ends {reason:?} out of turn");
        let Some(open) = open else { return Ok(()) };
        let side = open.placed.terms.side;
        let met = book.best(side.opposite()).map(|(_, price)| price);
        let within = met.filter(|&met| match (open.placed.terms.price, side) {
            (None, _) => true,
            (Some(limit), Side::Buy) => met <= limit,
            (Some(limit), Side::Sell) => met >= limit,
        });
        let by_venue = reason == CloseReason::ByVenue;
        let bound = if by_venue { running.band } else { running.range };
        let outside = within.zip(bound).is_some_and(|(met, (low, high))| met < low || met > high);
        ensure!(outside, Market, "order {order} ends {reason:?} at {met:?} in {bound:?}");
        if by_venue {
            running.ended_by_venue = Some(symbol);
        }
        Ok(())
    }
}
