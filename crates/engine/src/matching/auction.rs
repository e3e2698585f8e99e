//! Auctions: orders that were collected trade at one price.
//!
//! The price is the one at which most trades; among several, one that leaves the least between what is bid at it or
//! higher and what is offered at it or lower; among these, the nearest to the last trade, or, in a market that has
//! never traded, the one in the middle. What is hidden of iceberg orders counts.
//!
//! At this price bids and offers trade in price-time priority, until one side has none left that would. Of two orders
//! the one that was placed later is the taker, which decides the fees. Self-trade prevention does not apply: whether
//! two orders of an account meet follows from all others, and an order that would end could change the price.
//!
//! Both parts are bounded: a command looks at so many price levels to find the price, and makes so many trades; the
//! continuation goes on. Meanwhile nothing is placed, cancelled or amended, so the price holds, and when the last trade
//! is made the book is not crossed: another pair would have made the volume at the price a larger one.

use crossbook_protocol::event::{CloseReason, Event, Events, Party, Trade};
use crossbook_protocol::peer::Settlement;
use crossbook_protocol::rules::Rules;
use crossbook_protocol::wire::codec::{wire_enum, wire_struct};
use crossbook_types::{Amount, FeeCredit, Price, Quantity, Side};

use super::Matcher;
use super::discount::Charges;
use super::open::{Filled, Top};
use super::taker::charge;
use crate::outbox::Accounts;

/// How far an auction is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Auction {
    /// Its price is looked for.
    Search(Search),
    /// Its trades are made, at this price.
    At(Price),
}

/// How far the search for a price has come: bids and offers are paired off, the best first, and none of them trades.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Search {
    /// The last price level of bids that was reached, and what of it is not paired yet.
    bid: Option<(Price, Quantity)>,
    ask: Option<(Price, Quantity)>,
    /// How much was paired.
    volume: Quantity,
}

impl Search {
    /// Whether it can be one of a market.
    pub(super) fn is_sound(&self) -> bool {
        match (self.bid, self.ask) {
            (None, None) => self.volume.is_zero(),
            (Some((bid, _)), Some((ask, _))) => ask <= bid && bid <= Price::MAX && !self.volume.is_zero(),
            _ => false,
        }
    }
}

/// A price level that trades, what showed there before, and what shows now.
type Touched = Option<(Price, Quantity, Quantity)>;

impl Matcher {
    /// Pairs off so many more levels. Whether all that would trade is paired.
    pub(super) fn search(&self, search: &mut Search, pairs_max: u32) -> bool {
        let level = |paired: Option<(Price, Quantity)>| paired.map(|(price, _)| price);
        let mut bids = self.open.liquidity_behind(Side::Buy, level(search.bid)).peekable();
        let mut asks = self.open.liquidity_behind(Side::Sell, level(search.ask)).peekable();
        for pairs in 0.. {
            let rest = |paired: Option<(Price, Quantity)>| paired.filter(|(_, left)| !left.is_zero());
            let (of_bid, of_ask) = (rest(search.bid), rest(search.ask));
            let bid = of_bid.or_else(|| bids.peek().copied());
            let ask = of_ask.or_else(|| asks.peek().copied());
            let (Some(bid), Some(ask)) = (bid, ask) else { return true };
            if bid.0 < ask.0 {
                return true;
            }
            if pairs >= pairs_max {
                return false;
            }
            if of_bid.is_none() {
                bids.next();
            }
            if of_ask.is_none() {
                asks.next();
            }
            let paired = bid.1.min(ask.1);
            search.bid = Some((bid.0, bid.1.minus(paired)));
            search.ask = Some((ask.0, ask.1.minus(paired)));
            search.volume = search.volume.plus(paired);
        }
        true
    }

    /// The price of an auction, and how much trades at it, once all is paired; `None` if nothing trades.
    pub(super) fn price_of(&self, search: &Search) -> Option<(Price, Quantity)> {
        let ((bid, bid_left), (ask, ask_left)) = search.bid.zip(search.ask)?;
        // All that trades is bid at `bid` or higher, and offered at `ask` or lower.
        let mut bids = self.open.liquidity_behind(Side::Buy, Some(bid));
        let mut asks = self.open.liquidity_behind(Side::Sell, Some(ask));
        let (next_bid, next_ask) = (bids.next(), asks.next());
        let above = |level: Option<(Price, Quantity)>| {
            level.map_or(ask, |(price, _)| ask.max(Price(price.0.saturating_add(1))))
        };
        let below = |level: Option<(Price, Quantity)>| {
            level.map_or(bid, |(price, _)| bid.min(Price(price.0.saturating_sub(1))))
        };
        let (low, high) = match (next_bid, next_ask) {
            // More is bid: as high as it may be.
            _ if !bid_left.is_zero() => (above(next_bid), bid),
            // More is offered: as low as it may be.
            _ if !ask_left.is_zero() => (ask, below(next_ask)),
            // Between the next levels nothing is left over; where these are neighbours, the smaller of them is.
            (Some((more_bid, bidden)), Some((more_ask, offered))) if above(next_bid) > below(next_ask) => {
                let (low, high) = (above(bids.next()), below(asks.next()));
                match bidden.cmp(&offered) {
                    std::cmp::Ordering::Less => (low, more_bid),
                    std::cmp::Ordering::Greater => (more_ask, high),
                    std::cmp::Ordering::Equal => (low, high),
                }
            }
            _ => (above(next_bid), below(next_ask)),
        };
        let price = match self.last_price {
            Some(last) => last.max(low).min(high),
            None => Price(low.0 + (high.0 - low.0) / 2),
        };
        #[cfg(crossbook_bugs)]
        let price = match crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::AuctionAtTheBid) {
            true => bid,
            false => price,
        };
        Some((price, search.volume))
    }

    /// Trades at the price of an auction, until the command has taken so many steps. Whether nothing is left to trade.
    pub(super) fn match_auction(
        &mut self,
        price: Price,
        steps_max: u32,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> bool {
        let (mut bids, mut asks): (Touched, Touched) = (None, None);
        let is_done = loop {
            let (Some(bid), Some(ask)) = (self.open.top(Side::Buy), self.open.top(Side::Sell)) else { break true };
            if bid.price < price || ask.price > price {
                break true;
            }
            if self.steps >= steps_max {
                break false;
            }
            self.touch(Side::Buy, bid.price, &mut bids, events);
            self.touch(Side::Sell, ask.price, &mut asks, events);
            let [bid_left, ask_left] = self.trade_at(price, &bid, &ask, accounts, events);
            bids = bids.map(|(at, before, _)| (at, before, bid_left));
            asks = asks.map(|(at, before, _)| (at, before, ask_left));
        };
        self.publish_touched(Side::Buy, bids, events);
        self.publish_touched(Side::Sell, asks, events);
        is_done
    }

    /// The next trade is at this level: what was left at the one before is published.
    fn touch(&mut self, side: Side, price: Price, touched: &mut Touched, events: &mut Events) {
        if touched.is_none_or(|(at, ..)| at != price) {
            self.publish_touched(side, touched.take(), events);
            let shown = self.open.depth_at(side, price);
            *touched = Some((price, shown, shown));
        }
    }

    fn publish_touched(&mut self, side: Side, touched: Touched, events: &mut Events) {
        if let Some((price, before, left)) = touched
            && before != left
        {
            self.depth_changed(side, price, left, events);
        }
    }

    /// One trade of an auction, between the first bid and the first offer. What shows at the levels of both then.
    fn trade_at(
        &mut self,
        price: Price,
        bid: &Top,
        ask: &Top,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> [Quantity; 2] {
        let quantity = bid.quantity.min(ask.quantity);
        let (quote, base) = (self.market.quote_amount(price, quantity), self.market.base_amount(quantity));
        let buys_later = bid.owner.order > ask.owner.order;
        let charges = self.auction_charges([bid, ask], buys_later, [quote, base], accounts.rules);
        let party = |top: &Top, fee| Party { order: top.owner.order, account: top.owner.account, fee };
        let (taker_side, later, earlier) = if buys_later { (Side::Buy, bid, ask) } else { (Side::Sell, ask, bid) };
        let (taker, maker, discount) = (party(later, charges.taker), party(earlier, charges.maker), charges.discount);
        let (symbol, trade) = (self.market.id, self.next_trade);
        events
            .add(|| Event::Traded(Trade { symbol, trade, price, quantity, quote, taker_side, taker, maker, discount }));
        self.traded_at(price, quantity, accounts.now);
        let [bid_fee, ask_fee] = in_their_order(charges.of_received(), buys_later);
        let of_bid = Settlement {
            account: bid.owner.account,
            hold: bid.owner.hold,
            symbol,
            pay_asset: self.market.pays(Side::Buy),
            pay: quote,
            // What was held was held at the limit.
            improvement: self.market.quote_amount(bid.price, quantity).minus(quote),
            receive_asset: self.market.receives(Side::Buy),
            receive: base,
            fee: bid_fee,
            transfer: false,
        };
        let of_ask = Settlement {
            account: ask.owner.account,
            hold: ask.owner.hold,
            symbol,
            pay_asset: self.market.pays(Side::Sell),
            pay: base,
            improvement: Amount::ZERO,
            receive_asset: self.market.receives(Side::Sell),
            receive: quote,
            fee: ask_fee,
            transfer: false,
        };
        for (top, settlement, takes) in [(bid, &of_bid, buys_later), (ask, &of_ask, !buys_later)] {
            self.lists.settle(top.owner.listed.then_some(top.owner.order), settlement, accounts);
            if let Some(fee) = charges.elsewhere(takes) {
                self.pay_discounted(top.owner.order, top.owner.account, fee, accounts);
            }
        }
        let [bid_credit, ask_credit] = in_their_order([charges.taker_credit, charges.maker_credit], buys_later);
        [(bid, bid_credit), (ask, ask_credit)].map(|(top, credit)| {
            let Filled { gone, left } = self.open.fill(top.slot, quantity, credit);
            if gone {
                self.close(top.owner, CloseReason::Filled, accounts, events);
            } else if top.owner.listed && !top.traded {
                self.leg_runs(top.owner.order, accounts, events);
            }
            left
        })
    }

    /// What the first bid and the first offer are charged for a trade; who came later takes.
    fn auction_charges(
        &mut self,
        [bid, ask]: [&Top; 2],
        buys_later: bool,
        [quote, base]: [Amount; 2],
        rules: Rules,
    ) -> Charges {
        let (later, earlier, gets, pays) = match buys_later {
            true => (bid, ask, base, quote),
            false => (ask, bid, quote, base),
        };
        let credit = |top: &Top| if top.traded { self.open.fee_credit(top.slot) } else { FeeCredit::NONE };
        let before = [credit(later), credit(earlier)];
        let (taker, taker_credit) = charge(rules, later.fees.taker, gets, before[0]);
        let (maker, maker_credit) = charge(rules, earlier.fees.maker, pays, before[1]);
        let mut charges = Charges { taker, taker_credit, maker, maker_credit, discount: None };
        if later.owner.discounted || earlier.owner.discounted {
            let sides = [later, earlier].map(|top| top.owner.discounted.then_some(top.owner.order));
            self.charge_discounted(sides, quote, before, &mut charges);
        }
        charges
    }
}

/// What is of the incoming order and of the resting one as what is of the bid and of the offer.
fn in_their_order<T>([of_taker, of_maker]: [T; 2], buys_later: bool) -> [T; 2] {
    if buys_later { [of_taker, of_maker] } else { [of_maker, of_taker] }
}

wire_enum! {
    Auction { 0 => Search(search), 1 => At(price) }
}
wire_struct! {
    Search { 0: bid, 1: ask, 2: volume }
}
