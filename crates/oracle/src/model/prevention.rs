//! Self-trade prevention of the naive exchange.

use crossbook_protocol::event::{CloseReason, Event, PreventedMatch};
use crossbook_types::{Amount, OrderId, PreventedMatchId, Price, Quantity, SelfTradePrevention, Side, SymbolId};

use super::{Left, Model, Order};

impl Model {
    pub(super) fn publish_prevented(&mut self, symbol: SymbolId, taker: &Order, maker: &Order, price: u64) {
        let book = &mut self.books[symbol.0 as usize];
        book.prevented += 1;
        let wanted = match taker.left {
            Left::Lots(lots) => lots,
            Left::Worth(worth) => (worth / book.quote(price, 1)) as u64,
        };
        let wanted = wanted.min(taker.most);
        let lots = wanted.min(maker.shown());
        let (of_taker, of_maker) = match taker.mode {
            SelfTradePrevention::None => (0, 0),
            SelfTradePrevention::ExpireTaker => (wanted, 0),
            SelfTradePrevention::ExpireMaker => (0, maker.lots()),
            SelfTradePrevention::ExpireBoth => (wanted, maker.lots()),
            SelfTradePrevention::Decrement => (lots, lots),
        };
        let (id, quote) = (PreventedMatchId::new_checked(book.prevented).unwrap(), book.quote(price, lots));
        self.events.push(Event::MatchPrevented(PreventedMatch {
            symbol,
            id,
            account: taker.account,
            taker_side: taker.side,
            taker: OrderId(taker.id),
            maker: OrderId(maker.id),
            mode: taker.mode,
            price: Price(price),
            quantity: Quantity(lots),
            quote: Amount(quote),
            taker_prevented: Quantity(of_taker),
            maker_prevented: Quantity(of_maker),
        }));
    }

    /// Takes from both orders what they would have traded, and frees what was held for that. Whether the taker wanted
    /// no more than that at this price.
    pub(super) fn decrement(
        &mut self,
        symbol: SymbolId,
        taker: &mut Order,
        maker: &Order,
        price: u64,
        wanted: u64,
    ) -> bool {
        self.steps += 1;
        let book = &mut self.books[symbol.0 as usize];
        book.clock += 1;
        let clock = book.clock;
        let lots = wanted.min(taker.most).min(maker.shown());
        let quote = book.quote(price, lots);
        let is_done = lots == wanted.min(taker.most);
        // What has no limit ends with this command, and its hold with it.
        let of_taker = match (taker.limit, taker.side) {
            (None, _) => 0,
            (Some(limit), Side::Buy) => book.quote(limit, lots),
            (Some(_), Side::Sell) => book.base(lots),
        };
        taker.left = match taker.left {
            Left::Lots(some) => Left::Lots(some - lots),
            Left::Worth(worth) => {
                taker.most -= lots;
                Left::Worth(worth - quote)
            }
        };
        taker.held -= of_taker;
        let of_maker = if maker.side == Side::Buy { quote } else { book.base(lots) };
        let order = book.order(maker.id);
        order.left = Left::Lots(order.lots() - lots);
        order.held -= of_maker;
        let shows_again = order.part.is_some() && order.visible == lots;
        if shows_again {
            order.visible = order.part.unwrap().min(order.lots());
            order.since = clock;
        } else {
            order.visible = order.visible.saturating_sub(lots);
        }
        let maker = order.clone();
        let (taker_asset, maker_asset) = (book.pays(taker.side), book.pays(maker.side));
        if of_taker != 0 {
            self.post(taker.account, taker_asset, of_taker, -of_taker);
        }
        self.post(maker.account, maker_asset, of_maker, -of_maker);
        self.freed_in_list(symbol, taker, of_taker);
        self.freed_in_list(symbol, &maker, of_maker);
        if maker.lots() == 0 {
            let maker = self.books[symbol.0 as usize].take_out(maker.id);
            self.end(symbol, &maker, CloseReason::SelfTradePrevented);
        } else {
            self.runs_in_list(symbol, &maker);
        }
        is_done
    }
}
