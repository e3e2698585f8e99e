//! Self-trade prevention of the naive exchange, and trade groups.

use crossbook_protocol::command::SetTradeGroup;
use crossbook_protocol::event::{CloseReason, Event, PreventedMatch};
use crossbook_protocol::order::NewOrder;
use crossbook_protocol::{Answer, Refusal};
use crossbook_types::{
    Amount, AssetId, OrderId, PreventedMatchId, Price, Quantity, SelfTradePrevention, Side, SymbolId,
};

use super::{Left, Model, Order};

/// What two orders would trade: how many lots, how much of the base and of the quote asset.
struct Match {
    lots: u64,
    base: i128,
    quote: i128,
}

impl Model {
    pub(super) fn set_trade_group(&mut self, request: &SetTradeGroup) -> Result<Answer, Refusal> {
        let &SetTradeGroup { account, group } = request;
        if !self.accounts.contains(&account) {
            return Err(Refusal::UnknownAccount);
        }
        if self.groups.get(&account).copied() != group {
            match group {
                Some(group) => self.groups.insert(account, group),
                None => self.groups.remove(&account),
            };
            self.events.push(Event::TradeGroupSet { account, group });
        }
        Ok(Answer::TradeGroupSet(account))
    }

    /// An order as one of its account's group.
    pub(super) fn in_group(&self, order: &NewOrder) -> NewOrder {
        let group = self.groups.get(&order.account).copied();
        *order.in_trade_group(group)
    }

    /// What happens when an order meets another one that it must not trade with: whether anything happens to that one,
    /// and why the order ends, if it does.
    pub(super) fn prevent(
        &mut self,
        symbol: SymbolId,
        taker: &mut Order,
        maker: &Order,
        (price, wanted): (u64, u64),
        unaffordable: CloseReason,
    ) -> (bool, Option<CloseReason>) {
        let ends = |ends: bool| ends.then_some(CloseReason::SelfTradePrevented);
        let (ends_taker, ends_maker) = match taker.mode {
            SelfTradePrevention::ExpireTaker => (true, false),
            SelfTradePrevention::ExpireMaker => (false, true),
            SelfTradePrevention::ExpireBoth => (true, true),
            _ => {
                return match self.decrement(symbol, taker, maker, price, wanted) {
                    Some(is_done) => (true, ends(is_done)),
                    None => (false, Some(unaffordable)),
                };
            }
        };
        self.publish_prevented(symbol, taker, maker, price);
        if ends_maker {
            let maker = self.books[symbol.0 as usize].take_out(maker.id);
            self.end(symbol, &maker, CloseReason::SelfTradePrevented);
            self.steps += 1;
        }
        (ends_maker, ends(ends_taker))
    }

    /// Of two orders that must not trade one ends, or both.
    fn publish_prevented(&mut self, symbol: SymbolId, taker: &Order, maker: &Order, price: u64) {
        let book = &self.books[symbol.0 as usize];
        let wanted = match taker.left {
            Left::Lots(lots) => lots,
            Left::Worth(worth) => (worth / book.quote(price, 1)) as u64,
        };
        let wanted = wanted.min(taker.most);
        let lots = wanted.min(maker.shown());
        let lost = match taker.mode {
            SelfTradePrevention::ExpireTaker => (wanted, 0),
            SelfTradePrevention::ExpireMaker => (0, maker.lots()),
            SelfTradePrevention::ExpireBoth => (wanted, maker.lots()),
            mode => panic!("{mode:?} ends no order"),
        };
        self.tell_prevented(symbol, taker, maker, taker.mode, (price, lots), lost);
    }

    fn tell_prevented(
        &mut self,
        symbol: SymbolId,
        taker: &Order,
        maker: &Order,
        mode: SelfTradePrevention,
        (price, lots): (u64, u64),
        lost: (u64, u64),
    ) {
        let book = &mut self.books[symbol.0 as usize];
        book.prevented += 1;
        let (id, quote) = (PreventedMatchId::new_checked(book.prevented).unwrap(), book.quote(price, lots));
        self.events.push(Event::MatchPrevented(PreventedMatch {
            symbol,
            id,
            account: taker.account,
            taker_side: taker.side,
            taker: OrderId(taker.id),
            maker: OrderId(maker.id),
            mode,
            price: Price(price),
            quantity: Quantity(lots),
            quote: Amount(quote),
            taker_prevented: Quantity(lost.0),
            maker_prevented: Quantity(lost.1),
            counterparty: (maker.account != taker.account).then_some(maker.account),
            group: taker.group,
        }));
    }

    /// Takes from both orders what they would have traded. What was held for that is free, or changes hands. Whether
    /// the taker wanted no more than that at this price; `None` if it cannot pay for any of it.
    fn decrement(
        &mut self,
        symbol: SymbolId,
        taker: &mut Order,
        maker: &Order,
        price: u64,
        wanted: u64,
    ) -> Option<bool> {
        let book = &mut self.books[symbol.0 as usize];
        let mode = match (taker.mode, maker.mode) {
            (SelfTradePrevention::Transfer, SelfTradePrevention::Transfer) => SelfTradePrevention::Transfer,
            _ => SelfTradePrevention::Decrement,
        };
        let moves = mode == SelfTradePrevention::Transfer && taker.account != maker.account;
        let payable = match taker.side {
            _ if !moves => u64::MAX,
            Side::Buy => u64::try_from(taker.held / book.quote(price, 1)).unwrap(),
            Side::Sell => u64::try_from(taker.held / book.base(1)).unwrap(),
        };
        let wanted = wanted.min(taker.most);
        let lots = wanted.min(maker.shown()).min(payable);
        if lots == 0 {
            return None;
        }
        self.steps += 1;
        book.clock += 1;
        let (clock, base, quote) = (book.clock, book.base(lots), book.quote(price, lots));
        self.tell_prevented(symbol, taker, maker, mode, (price, lots), (lots, lots));
        taker.left = match taker.left {
            Left::Lots(some) => Left::Lots(some - lots),
            Left::Worth(worth) => {
                taker.most -= lots;
                Left::Worth(worth - quote)
            }
        };
        let order = self.books[symbol.0 as usize].order(maker.id);
        order.left = Left::Lots(order.lots() - lots);
        // What changes hands does arrive.
        if !moves {
            taker.kept = taker.kept.map(|kept| kept + lots);
            order.kept = order.kept.map(|kept| kept + lots);
        }
        let of_maker = if order.side == Side::Buy { quote } else { base };
        if moves {
            order.held -= of_maker;
        }
        match order.part {
            Some(part) if order.visible == lots => {
                order.visible = part.min(order.lots());
                order.since = clock;
            }
            _ => order.visible = order.visible.saturating_sub(lots),
        }
        let maker = order.clone();
        let met = Match { lots, base, quote };
        if moves {
            self.change_hands(symbol, taker, &maker, &met);
        } else {
            self.free_of_taker(symbol, taker, &met);
        }
        if maker.lots() == 0 {
            let maker = self.books[symbol.0 as usize].take_out(maker.id);
            self.end(symbol, &maker, CloseReason::SelfTradePrevented);
        } else {
            let mut fitted = maker;
            self.runs_in_list(symbol, &mut fitted);
            if !moves {
                self.free_of_maker(symbol, &mut fitted, of_maker);
            }
            self.fit_reserve(symbol, &mut fitted);
            self.books[symbol.0 as usize].order(fitted.id).reserve = fitted.reserve;
        }
        Some(lots == wanted)
    }

    /// What was held is free; what has no limit ends with this command, and its hold with it.
    fn free_of_taker(&mut self, symbol: SymbolId, taker: &mut Order, met: &Match) {
        let book = &self.books[symbol.0 as usize];
        let freed = match (taker.limit, taker.side) {
            (None, _) => 0,
            (Some(limit), Side::Buy) => book.quote(limit, met.lots),
            (Some(_), Side::Sell) => met.base,
        };
        let asset = book.pays(taker.side);
        taker.held -= freed;
        if freed != 0 {
            self.post(taker.account, asset, freed, -freed);
        }
        self.freed_in_list(symbol, taker, freed);
    }

    /// The same of a resting order that goes on. What is held for one that ends is free with its end.
    fn free_of_maker(&mut self, symbol: SymbolId, maker: &mut Order, freed: i128) {
        let book = &mut self.books[symbol.0 as usize];
        let asset = book.pays(maker.side);
        maker.held -= freed;
        book.order(maker.id).held -= freed;
        self.post(maker.account, asset, freed, -freed);
        self.freed_in_list(symbol, maker, freed);
    }

    /// As in a trade, without fees.
    fn change_hands(&mut self, symbol: SymbolId, taker: &mut Order, maker: &Order, met: &Match) {
        let book = &self.books[symbol.0 as usize];
        let (base_asset, quote_asset): (AssetId, AssetId) = (book.market.base.id, book.market.quote.id);
        let at_limit = taker.limit.map_or(met.quote, |limit| book.quote(limit, met.lots));
        let better = if taker.side == Side::Buy { at_limit - met.quote } else { 0 };
        taker.held -= if taker.side == Side::Buy { at_limit } else { met.base };
        for (order, better) in [(&*taker, better), (maker, 0)] {
            match order.side {
                Side::Buy => {
                    self.post(order.account, quote_asset, better, -met.quote - better);
                    let kept = self.paid_in_list(symbol, order, met.quote + better, met.base, met.base);
                    let (free, held) = if kept { (0, met.base) } else { (met.base, 0) };
                    self.post(order.account, base_asset, free, held);
                }
                Side::Sell => {
                    self.post(order.account, base_asset, 0, -met.base);
                    self.paid_in_list(symbol, order, met.base, met.quote, met.base);
                    self.post(order.account, quote_asset, met.quote, 0);
                }
            }
        }
    }
}
