//! Auctions of the naive exchange: every price is tried.

use crossbook_protocol::event::{CloseReason, Event, Party, Trade};
use crossbook_protocol::session::AuctionPrice;
use crossbook_types::{Amount, OrderId, Price, Quantity, Side, SymbolId, TradeId};

use super::{Book, Left, Model, Order};

/// How far an auction is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Auction {
    /// How many pairs of price levels were looked at.
    looked: u32,
    price: Option<u64>,
}

impl Book {
    /// What trades at a price, and how much more is bid than offered there.
    fn volume_at(&self, price: u64) -> (u64, u64) {
        let sum = |side: Side, trades: &dyn Fn(u64) -> bool| -> u64 {
            let working = self.orders.iter().filter(|order| order.side == side && !order.waits);
            working.filter(|order| trades(order.limit.unwrap())).map(Order::lots).sum()
        };
        let bid = sum(Side::Buy, &|limit| limit >= price);
        let offered = sum(Side::Sell, &|limit| limit <= price);
        (bid.min(offered), bid.abs_diff(offered))
    }

    /// The price of an auction, and how much trades at it.
    #[must_use]
    pub(super) fn auction_price(&self) -> Option<(u64, u64)> {
        let lowest = self.prices(Side::Sell).first().copied()?;
        let highest = self.prices(Side::Buy).first().copied()?;
        let tried: Vec<(u64, u64, u64)> = (lowest..=highest)
            .map(|price| {
                let (volume, left_over) = self.volume_at(price);
                (price, volume, left_over)
            })
            .collect();
        let most = tried.iter().map(|&(_, volume, _)| volume).max().filter(|&most| most > 0)?;
        let least = tried.iter().filter(|(_, volume, _)| *volume == most).map(|&(.., left_over)| left_over).min()?;
        let best: Vec<u64> = tried
            .iter()
            .filter(|(_, volume, left_over)| (*volume, *left_over) == (most, least))
            .map(|&(price, ..)| price)
            .collect();
        let price = match self.last {
            Some(last) => best.iter().copied().min_by_key(|price| price.abs_diff(last))?,
            None => best[(best.len() - 1) / 2],
        };
        Some((price, most))
    }

    /// How often a level of bids and one of offers that trade are laid against each other until all are paired.
    fn pairs(&self) -> u32 {
        let levels = |side: Side| -> Vec<(u64, u64)> {
            self.prices(side).into_iter().map(|price| (price, self.available(side, price))).collect()
        };
        let (mut bids, mut asks) = (levels(Side::Buy), levels(Side::Sell));
        let mut pairs = 0;
        while let (Some(&(bid, wanted)), Some(&(ask, offered))) = (bids.first(), asks.first()) {
            if bid < ask {
                break;
            }
            pairs += 1;
            let paired = wanted.min(offered);
            for (side, there) in [(&mut bids, wanted), (&mut asks, offered)] {
                if there == paired {
                    side.remove(0);
                } else {
                    side[0].1 = there - paired;
                }
            }
        }
        pairs
    }
}

impl Model {
    /// Does the next part of an auction. Its price, once all is done, or nothing trades.
    pub(super) fn match_some(&mut self, symbol: SymbolId, auction: &mut Auction) -> Option<Option<u64>> {
        let at = symbol.0 as usize;
        let price = match auction.price {
            Some(price) => price,
            None => {
                auction.looked += self.bounds.levels_checked;
                if auction.looked < self.books[at].pairs() {
                    return None;
                }
                let Some((price, volume)) = self.books[at].auction_price() else { return Some(None) };
                let (told, quantity) = (Price(price), Quantity(volume));
                self.events.push(Event::AuctionPriced(AuctionPrice { symbol, price: told, quantity }));
                price
            }
        };
        auction.price = Some(price);
        let mut touched: Vec<(Side, u64, u64)> = Vec::new();
        let is_done = loop {
            let first = |side| self.books[at].prices(side).first().copied();
            let (Some(bid), Some(ask)) = (first(Side::Buy), first(Side::Sell)) else { break true };
            if bid < price || ask > price {
                break true;
            }
            if self.steps >= self.bounds.continued {
                break false;
            }
            for (side, level) in [(Side::Buy, bid), (Side::Sell, ask)] {
                if let Some(before) = touched.iter().position(|&(of, at, _)| of == side && at != level) {
                    let (_, left, shown) = touched.remove(before);
                    self.publish_if_changed(symbol, side, left, shown);
                }
                if !touched.iter().any(|&(of, ..)| of == side) {
                    touched.push((side, level, self.books[at].resting(side, level)));
                }
            }
            self.trade_at(symbol, price, [bid, ask]);
        };
        touched.sort_unstable();
        for (side, level, shown) in touched {
            self.publish_if_changed(symbol, side, level, shown);
        }
        is_done.then_some(Some(price))
    }

    fn publish_if_changed(&mut self, symbol: SymbolId, side: Side, price: u64, before: u64) {
        if self.books[symbol.0 as usize].resting(side, price) != before {
            self.publish_depth(symbol, side, price);
        }
    }

    /// The first bid and the first offer at these levels trade.
    fn trade_at(&mut self, symbol: SymbolId, price: u64, levels: [u64; 2]) {
        self.steps += 1;
        let book = &mut self.books[symbol.0 as usize];
        let first = |book: &Book, side, level| book.queue(side, level).remove(0);
        let (bid, ask) = (first(book, Side::Buy, levels[0]), first(book, Side::Sell, levels[1]));
        let lots = bid.shown().min(ask.shown());
        let (base, quote) = (book.base(lots), book.quote(price, lots));
        let at_limit = book.quote(levels[0], lots);
        book.traded += 1;
        book.last = Some(price);
        book.note_trade(self.time, price, lots);
        let (trade, base_asset, quote_asset) = (TradeId(book.traded), book.market.base.id, book.market.quote.id);
        let buys_later = bid.id > ask.id;
        for (id, paid) in [(bid.id, at_limit), (ask.id, base)] {
            book.clock += 1;
            let clock = book.clock;
            let order = book.order(id);
            order.left = Left::Lots(order.lots() - lots);
            order.traded = true;
            order.held -= paid;
            if let Some(part) = order.part {
                order.visible -= lots;
                if order.visible == 0 {
                    order.visible = part.min(order.lots());
                    order.since = clock;
                }
            }
        }
        // Who came later is charged first.
        let (mut fees, mut discount) = ([(0, false); 2], None);
        let sides = [(0, bid.id, base), (1, ask.id, quote)];
        for (at, id, received) in if buys_later { sides } else { [sides[1], sides[0]] } {
            let takes = (at == 0) == buys_later;
            fees[at] = book.order(id).charge_either(takes, received, quote, &mut discount);
        }
        let party =
            |order: &Order, fee: i128| Party { order: OrderId(order.id), account: order.account, fee: Amount(fee) };
        let (bidder, seller) = (party(&bid, fees[0].0), party(&ask, fees[1].0));
        self.events.push(Event::Traded(Trade {
            symbol,
            trade,
            price: Price(price),
            quantity: Quantity(lots),
            quote: Amount(quote),
            taker_side: if buys_later { Side::Buy } else { Side::Sell },
            taker: if buys_later { bidder } else { seller },
            maker: if buys_later { seller } else { bidder },
            discount,
        }));
        for order in [&bid, &ask] {
            self.count_volume(order.account, [(base_asset, base), (quote_asset, quote)]);
        }
        self.settle(symbol, &bid, [base, quote, at_limit - quote], fees[0]);
        self.settle(symbol, &ask, [base, quote, 0], fees[1]);
        for before in [bid, ask] {
            let order = self.books[symbol.0 as usize].order(before.id).clone();
            if order.lots() == 0 {
                self.books[symbol.0 as usize].take_out(order.id);
                self.end(symbol, &order, CloseReason::Filled);
            } else if !before.traded {
                self.run_resting(symbol, order);
            }
        }
    }
}
