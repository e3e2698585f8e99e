//! Orders of the naive exchange: acceptance, matching, and their effect on other orders.

use crossbook_protocol::event::{CloseReason, Event, OrderPlaced, Party, Trade};
use crossbook_protocol::order::{NewOrder, Size};
use crossbook_protocol::{Answer, Refusal};
use crossbook_types::{
    Amount, Filter, OrderId, OrderType, Price, Quantity, RejectReason, SelfTradePrevention, Side, SymbolId,
    TimeInForce, TradeId,
};

use super::{Left, Model, Order, other};

impl Model {
    /// What the order could cost at most, and whether it may have less.
    pub(super) fn worst_cost(&self, order: &NewOrder) -> (i128, bool) {
        let book = &self.books[order.terms.symbol.0 as usize];
        let f = book.market.filters;
        let largest = f.quantity_max.0.min(f.market_quantity_max.0);
        match (order.terms.side, order.terms.size, order.terms.limit(), order.terms.stop_price.get()) {
            (Side::Sell, Size::Base(quantity), ..) => (book.base(quantity.0), false),
            (Side::Sell, Size::Quote(_), ..) => (book.base(largest), true),
            (Side::Buy, Size::Quote(amount), ..) => (amount.0, false),
            (Side::Buy, Size::Base(quantity), Some(price), _) => (book.quote(price.0, quantity.0), false),
            (Side::Buy, Size::Base(quantity), None, Some(stop)) => {
                (book.quote(Self::farthest(&order.terms, stop.0), quantity.0) * 110 / 100, false)
            }
            (Side::Buy, Size::Base(quantity), None, None) if order.terms.waits() => {
                (book.quote(Self::farthest(&order.terms, book.highest), quantity.0) * 110 / 100, true)
            }
            (Side::Buy, Size::Base(quantity), None, None) => (book.quote(book.highest, quantity.0), true),
        }
    }

    /// What an order must not be, as the book is now.
    fn check_book(&self, order: &NewOrder, budget: i128, limited: bool) -> Result<(), Refusal> {
        if limited {
            self.check_limits(order, true)?;
        } else {
            self.check_name(order)?;
        }
        self.check_against_book(order, budget)
    }

    fn check_name(&self, order: &NewOrder) -> Result<(), Refusal> {
        let same = |open: &Order| open.account == order.account && open.client == order.terms.client_order_id;
        let taken = self.books[order.terms.symbol.0 as usize].orders.iter().any(same);
        if taken { Err(Refusal::DuplicateClientOrderId) } else { Ok(()) }
    }

    /// Whether the market is open, and what its filters say of the account's open orders and of the price; between
    /// these, whether its name is free.
    pub(super) fn check_limits(&self, order: &NewOrder, named: bool) -> Result<(), Refusal> {
        let book = &self.books[order.terms.symbol.0 as usize];
        let f = book.market.filters;
        book.check_status(order)?;
        let own: Vec<&Order> = book.orders.iter().filter(|open| open.account == order.account).collect();
        if named {
            self.check_name(order)?;
        }
        if own.len() >= f.orders_max as usize {
            return Err(Refusal::Filter(Filter::MaxOrders));
        }
        let waiting = own.iter().filter(|open| open.waits && open.stop.is_some()).count();
        if order.terms.waits() && waiting >= f.algo_orders_max as usize {
            return Err(Refusal::Filter(Filter::MaxAlgoOrders));
        }
        let icebergs = own.iter().filter(|open| open.part.is_some()).count();
        if self.sketch(order).part.is_some() && icebergs >= f.special.iceberg_orders_max as usize {
            return Err(Refusal::Filter(Filter::MaxIcebergOrders));
        }
        self.check_bands(order)
    }

    fn check_against_book(&self, order: &NewOrder, budget: i128) -> Result<(), Refusal> {
        let book = &self.books[order.terms.symbol.0 as usize];
        let f = book.market.filters;
        self.check_price_to_come(order, budget)?;
        if let (Some(Price(stop)), Some(last)) = (order.terms.stop_price.get(), book.last) {
            let rises = self.sketch(order).rises();
            if (rises && last >= stop) || (!rises && last <= stop) {
                return Err(Refusal::WouldTrigger);
            }
            if book.reached.is_some_and(|(low, high)| if rises { high >= stop } else { low <= stop }) {
                return Err(Refusal::WouldTrigger);
            }
        }
        let facing = other(order.terms.side);
        if order.terms.order_type == OrderType::LimitMaker
            && order.terms.peg().is_none()
            && book.prices(facing).first().is_some_and(|&best| self.sketch(order).reaches(best))
        {
            return Err(Refusal::WouldTake);
        }
        if order.terms.order_type == OrderType::Market {
            if let Size::Base(quantity) = order.terms.size {
                book.check_market_worth(self.now, quantity.0)?;
            }
            let (cost, lots, everything) = self.sweep(order);
            if budget == 0 || cost > budget {
                return Err(Refusal::InsufficientBalance);
            }
            if matches!(order.terms.size, Size::Quote(_)) && lots < f.quantity_min.0 {
                return Err(match (everything, lots) {
                    (true, 0) => Refusal::EmptyBook,
                    (true, _) => Refusal::ThinBook,
                    (false, _) => Refusal::Filter(Filter::LotSize),
                });
            }
        }
        Ok(())
    }

    /// What an order whose price the market gives it must not be, as the book is now.
    fn check_price_to_come(&self, order: &NewOrder, budget: i128) -> Result<(), Refusal> {
        let book = &self.books[order.terms.symbol.0 as usize];
        if let (Size::Base(Quantity(lots)), None, None, true) =
            (order.terms.size, order.terms.limit(), order.terms.stop_price.get(), order.terms.waits())
        {
            book.check_market_worth(self.now, lots)?;
            match self.trailing_worth(order) {
                None if order.terms.side == Side::Buy => return Err(Refusal::Filter(Filter::Notional)),
                Some(needed) if needed > budget => return Err(Refusal::InsufficientBalance),
                _ => {}
            }
        }
        if let Some(peg) = order.terms.peg().filter(|_| !order.terms.waits()) {
            self.peg_price(order.terms.symbol, &self.sketch(order), peg, budget)?;
        }
        Ok(())
    }

    /// What a market order would pay for all that it could take now, how much that is, and whether that is all there is
    /// for it. Of a book of many prices it sees the first ones.
    fn sweep(&self, order: &NewOrder) -> (i128, u64, bool) {
        let seen = self.bounds.levels_checked as usize;
        let by_worth = matches!(order.terms.size, Size::Quote(_));
        let book = &self.books[order.terms.symbol.0 as usize];
        let Order { mut left, most, .. } = self.sketch(order);
        let (mut cost, mut taken) = (0, 0);
        for (at, price) in book.prices(other(order.terms.side)).into_iter().enumerate() {
            if at >= seen && (!by_worth || taken >= book.market.filters.quantity_min.0) {
                break;
            }
            let wanted = match left {
                Left::Lots(lots) => lots,
                Left::Worth(worth) => (worth / book.quote(price, 1)) as u64,
            };
            let wanted = wanted.min(most - taken);
            if wanted == 0 {
                return (cost, taken, false);
            }
            let mut there = book.available(other(order.terms.side), price);
            let mut makes_way = 0;
            if by_worth && order.terms.self_trade_prevention == SelfTradePrevention::ExpireMaker {
                let queue = book.queue(other(order.terms.side), price);
                let own = |maker: &&Order| maker.is_of(order.account, order.terms.trade_group());
                makes_way = queue.iter().filter(own).map(Order::lots).sum();
                there -= makes_way;
            }
            let lots = wanted.min(there);
            taken += lots;
            cost += if order.terms.side == Side::Buy { book.quote(price, lots) } else { book.base(lots) };
            left = match left {
                Left::Lots(some) => Left::Lots(some - lots),
                Left::Worth(worth) => Left::Worth(worth - book.quote(price, lots)),
            };
            // It does not go on to a worse price at which the rest of its amount would be another lot.
            if lots < there || (lots == wanted && makes_way > 0) {
                return (cost, taken, false);
            }
        }
        (cost, taken, true)
    }

    pub(super) fn sketch(&self, order: &NewOrder) -> Order {
        let size = match order.terms.size {
            Size::Base(quantity) => Left::Lots(quantity.0),
            Size::Quote(amount) => Left::Worth(amount.0),
        };
        let f = &self.books[order.terms.symbol.0 as usize].market.filters;
        let most = match size {
            Left::Lots(lots) => lots,
            Left::Worth(_) => f.quantity_max.0.min(f.market_quantity_max.0),
        };
        Order {
            id: 0,
            account: order.account,
            client: order.terms.client_order_id,
            side: order.terms.side,
            kind: order.terms.order_type,
            tif: order.terms.time_in_force,
            mode: order.terms.self_trade_prevention,
            fees: self.rates(order.account, &self.books[order.terms.symbol.0 as usize].market),
            group: order.terms.trade_group(),
            limit: order.terms.limit().map(|price| price.0),
            stop: order.terms.stop_price.get().map(|price| price.0).or(order.terms.trailing().map(|_| 0)),
            waits: order.terms.waits(),
            pending: false,
            list: None,
            terms: order.terms.clone(),
            size,
            left: size,
            most,
            amends: 0,
            told: 0,
            traded: false,
            held: 0,
            charged: 0,
            exact_fee: 0,
            since: 0,
            part: order.terms.iceberg().map(|part| part.0),
            visible: 0,
            counted: false,
            incoming: false,
            kept: None,
            delta: order.terms.trailing().map(|delta| delta.0.into()),
            trails: false,
            extreme: None,
            peg: order.terms.peg(),
            reserve: None,
        }
    }

    pub(super) fn place(&mut self, new: &NewOrder) -> Result<Answer, Refusal> {
        self.place_as(&self.in_group(new), true)
    }

    /// Places an order; `limited`, if the market's limits were not looked at before.
    pub(super) fn place_as(&mut self, new: &NewOrder, limited: bool) -> Result<Answer, Refusal> {
        let placed = self.try_to_place(new, limited);
        let reason = match placed {
            Err(Refusal::InsufficientBalance) => Some(RejectReason::InsufficientBalances),
            Err(Refusal::WouldTake) => Some(RejectReason::WouldMatch),
            Err(Refusal::WouldTrigger) => Some(RejectReason::WouldTrigger),
            _ => None,
        };
        self.events.extend(reason.map(|reason| Event::OrderRefused { order: new.clone(), reason }));
        placed
    }

    fn try_to_place(&mut self, new: &NewOrder, limited: bool) -> Result<Answer, Refusal> {
        let symbol = new.terms.symbol;
        if symbol.0 as usize >= self.books.len() {
            return Err(Refusal::UnknownSymbol);
        }
        self.check_asked(new, limited)?;
        if !self.accounts.contains(&new.account) {
            return Err(Refusal::UnknownAccount);
        }
        let asset = self.books[symbol.0 as usize].pays(new.terms.side);
        let free = self.free(new.account, asset);
        let budget = match self.worst_cost(new) {
            (cost, true) => cost.min(free),
            (cost, false) if cost > free => return Err(Refusal::InsufficientBalance),
            (cost, false) => cost,
        };
        if limited {
            // Before anything else changes, what the order holds is taken.
            self.post(new.account, asset, 0, 0);
            self.rate(new.account);
            self.discount.replacing = self.reserve_for(new, budget, budget, false);
            self.pass_time(symbol);
        }
        let reserve = if limited { self.discount.replacing.take() } else { self.reserve_of_replacement(new, budget) };
        self.check_book(new, budget, limited)?;
        self.post(new.account, asset, -budget, budget);
        let mut order = self.sketch(new);
        (order.held, order.reserve) = (budget, reserve);
        self.hold_reserve(&order);
        self.mark_counted(&mut order, symbol);
        let book = &mut self.books[symbol.0 as usize];
        book.placed += 1;
        order.id = book.placed;
        let id = OrderId(order.id);
        self.events.push(Event::OrderPlaced(OrderPlaced { order: id, account: new.account, terms: new.terms.clone() }));
        self.events.extend(order.reserve.as_ref().map(|reserve| reserve.told(symbol, id, new.account)));
        if order.waits {
            book.clock += 1;
            order.since = book.clock;
            let last = book.last.filter(|_| order.stop == Some(0));
            let number = order.id;
            book.orders.push(order);
            self.fit_trailing(new, number, budget);
            if let Some(last) = last {
                self.begin_to_trail(symbol, number, last);
            }
        } else {
            self.steps = 0;
            let mut prices = Vec::new();
            assert!(self.peg(symbol, &mut order), "a pegged order that was checked has a price");
            let book = &self.books[symbol.0 as usize];
            let others_first = book.reached.is_some() || !book.unseen.is_empty();
            self.work(symbol, order, &mut prices);
            self.note_prices(symbol, &prices);
            self.reach(symbol, &prices);
            if others_first {
                self.forget_reached(symbol);
            } else {
                self.trigger(symbol, self.bounds.triggers);
            }
            self.note_work(symbol);
        }
        Ok(Answer::Placed { symbol, order: id })
    }

    /// What of an order needs no book, and is of its account.
    fn check_asked(&mut self, new: &NewOrder, limited: bool) -> Result<(), Refusal> {
        if !limited {
            return self.check_form(new);
        }
        self.count_open(new.account, new.terms.symbol, new.terms.side == Side::Buy);
        self.check_form(new)?;
        self.check_account(new)
    }

    /// An order that waits, which has taken so much of what it pays: if it trails the price from now on, what is held
    /// for it follows from that.
    fn fit_trailing(&mut self, new: &NewOrder, number: u64, budget: i128) {
        let symbol = new.terms.symbol;
        if let Some(needed) = self.trailing_worth(new) {
            let (asset, excess) = (self.books[symbol.0 as usize].pays(new.terms.side), budget - needed);
            self.books[symbol.0 as usize].order(number).held = needed;
            self.post(new.account, asset, excess, -excess);
        }
        if new.terms.trailing().is_some() && new.terms.stop_price.get().is_none() {
            self.fit_reserve_of_trailing(symbol, number);
        }
    }

    /// An order takes what it can; the rest of it rests or ends.
    pub(super) fn work(&mut self, symbol: SymbolId, mut order: Order, prices: &mut Vec<u64>) {
        let at = symbol.0 as usize;
        let mut traded = false;
        // Ended for another reason than that nothing was left at its price.
        let mut ended: Option<CloseReason> = None;
        let fences = self.fences(symbol, order.side);
        let begins_outside = self.begins_outside(symbol, &order);
        if order.tif == TimeInForce::Fok && !begins_outside {
            self.steps += self.looks(symbol, &order) / self.bounds.looks_per_step;
        }
        let kill = order.tif == TimeInForce::Fok && (begins_outside || !self.could_fill(symbol, &order));
        let collected = self.books[at].is_collecting();
        let levels = if kill || collected { Vec::new() } else { self.books[at].prices(other(order.side)) };
        for price in levels {
            if order.wants_nothing() || !order.reaches(price) {
                break;
            }
            if let Some(reason) = fences.forbid(order.side, price) {
                ended = Some(self.ends_outside(symbol, &order, price, traded).unwrap_or(reason));
                break;
            }
            ended = self.work_at(symbol, &mut order, price, &mut traded, prices);
            if ended.is_some() {
                break;
            }
        }
        self.watch(symbol, prices);
        let small_change = match order.left {
            Left::Worth(worth) => prices.last().is_some_and(|&last| worth < self.books[at].quote(last, 1)),
            Left::Lots(_) => false,
        };
        let satisfied = order.wants_nothing() && ended != Some(CloseReason::SelfTradePrevented);
        let filled = satisfied || (small_change && ended.is_none());
        let rests = order.tif == TimeInForce::Gtc && order.limit.is_some() && ended.is_none() && !filled;
        if rests {
            let book = &mut self.books[at];
            book.clock += 1;
            order.since = book.clock;
            order.visible = order.part.unwrap_or(0).min(order.lots());
            let (side, price) = (order.side, order.limit.unwrap());
            order.waits = false;
            self.fit_reserve(symbol, &mut order);
            self.books[at].orders.push(order);
            self.publish_depth(symbol, side, price);
        } else {
            let reason = if filled { CloseReason::Filled } else { ended.unwrap_or(CloseReason::Expired) };
            self.end(symbol, &order, reason);
            if reason == CloseReason::ByVenue {
                self.trip(symbol);
            }
        }
    }

    /// Why an order that comes to a price at which it must not trade would not trade there all the same.
    fn ends_outside(&self, symbol: SymbolId, order: &Order, price: u64, traded: bool) -> Option<CloseReason> {
        let book = &self.books[symbol.0 as usize];
        let buys_no_lot = matches!(order.left, Left::Worth(worth) if worth < book.quote(price, 1));
        let pays_no_lot = match order.side {
            Side::Buy => order.held < book.quote(price, 1),
            Side::Sell => order.held < book.base(1),
        };
        match (order.stop, order.list) {
            _ if buys_no_lot && traded => Some(CloseReason::Filled),
            _ if buys_no_lot || order.most == 0 => Some(CloseReason::Expired),
            (None, None) if pays_no_lot => Some(CloseReason::Expired),
            _ if pays_no_lot => Some(CloseReason::Unaffordable),
            _ => None,
        }
    }

    /// An order takes what it can at one price. Why it ends there, if for another reason than that nothing was left at
    /// its price.
    fn work_at(
        &mut self,
        symbol: SymbolId,
        order: &mut Order,
        price: u64,
        traded: &mut bool,
        prices: &mut Vec<u64>,
    ) -> Option<CloseReason> {
        let at = symbol.0 as usize;
        let (mut ended, mut changed) = (None, false);
        // A waiting order may find that what is held for it does not suffice.
        let unaffordable = match (order.stop, order.list) {
            (None, None) => CloseReason::Expired,
            _ => CloseReason::Unaffordable,
        };
        let before = self.books[at].resting(other(order.side), price);
        // An iceberg order comes up again, behind the others.
        while let Some(maker) = self.books[at].queue(other(order.side), price).first().cloned() {
            if order.wants_nothing() {
                break;
            }
            let wanted = match order.left {
                Left::Lots(lots) => lots,
                Left::Worth(worth) => (worth / self.books[at].quote(price, 1)) as u64,
            };
            if wanted == 0 {
                ended = Some(if *traded { CloseReason::Filled } else { CloseReason::Expired });
                break;
            }
            if order.most == 0 {
                ended = Some(CloseReason::Expired);
                break;
            }
            if order.mode != SelfTradePrevention::None && maker.is_of(order.account, order.group) {
                let (does, ends) = self.prevent(symbol, order, &maker, (price, wanted), unaffordable);
                changed |= does;
                ended = ends;
                if ended.is_some() {
                    break;
                }
                continue;
            }
            let book = &self.books[at];
            let payable = match order.side {
                Side::Buy => order.held / book.quote(price, 1),
                Side::Sell => order.held / book.base(1),
            };
            if payable == 0 {
                ended = Some(unaffordable);
                break;
            }
            let lots = wanted.min(order.most).min(maker.shown()).min(u64::try_from(payable).unwrap());
            self.trade(symbol, order, maker.id, price, lots);
            prices.push(price);
            (*traded, changed) = (true, true);
            if lots < maker.shown() {
                // Done, or it cannot pay for more.
                ended = Some(if lots == wanted { CloseReason::Filled } else { unaffordable });
                break;
            }
        }
        if changed && self.books[at].resting(other(order.side), price) != before {
            self.publish_depth(symbol, other(order.side), price);
        }
        ended
    }

    fn trade(&mut self, symbol: SymbolId, taker: &mut Order, maker: u64, price: u64, lots: u64) {
        self.steps += 1;
        let book = &mut self.books[symbol.0 as usize];
        book.traded += 1;
        book.clock += 1;
        let clock = book.clock;
        book.last = Some(price);
        book.note_trade(self.time, price, lots);
        let (trade, base_asset, quote_asset) = (TradeId(book.traded), book.market.base.id, book.market.quote.id);
        let (base, quote) = (book.base(lots), book.quote(price, lots));
        // Held at the limit, paid at the price.
        let at_limit = taker.limit.map_or(quote, |limit| book.quote(limit, lots));
        let order = book.order(maker);
        order.left = Left::Lots(order.lots() - lots);
        let shows_again = order.part.is_some() && order.visible == lots;
        order.visible =
            if shows_again { order.part.unwrap().min(order.lots()) } else { order.visible.saturating_sub(lots) };
        order.held -= if order.side == Side::Buy { quote } else { base };
        let received = |side| if side == Side::Buy { base } else { quote };
        if shows_again {
            order.since = clock;
        }
        (order.traded, taker.traded) = (true, true);
        let mut discount = None;
        let (taker_fee, taker_elsewhere) = taker.charge_either(true, received(taker.side), quote, &mut discount);
        let (maker_fee, maker_elsewhere) = order.charge_either(false, received(order.side), quote, &mut discount);
        let maker = order.clone();
        if matches!(taker.left, Left::Worth(_)) {
            taker.most -= lots;
        }
        taker.left = match taker.left {
            Left::Lots(some) => Left::Lots(some - lots),
            Left::Worth(worth) => Left::Worth(worth - quote),
        };
        taker.held -= if taker.side == Side::Buy { at_limit } else { base };
        self.events.push(Event::Traded(Trade {
            symbol,
            trade,
            price: Price(price),
            quantity: Quantity(lots),
            quote: Amount(quote),
            taker_side: taker.side,
            taker: Party { order: OrderId(taker.id), account: taker.account, fee: Amount(taker_fee) },
            maker: Party { order: OrderId(maker.id), account: maker.account, fee: Amount(maker_fee) },
            discount,
        }));
        let better = if taker.side == Side::Buy { at_limit - quote } else { 0 };
        for order in [&*taker, &maker] {
            self.count_volume(order.account, [(base_asset, base), (quote_asset, quote)]);
        }
        self.settle(symbol, taker, [base, quote, better], (taker_fee, taker_elsewhere));
        self.settle(symbol, &maker, [base, quote, 0], (maker_fee, maker_elsewhere));
        if maker.lots() == 0 {
            let maker = self.books[symbol.0 as usize].take_out(maker.id);
            self.end(symbol, &maker, CloseReason::Filled);
        } else if maker.size == Left::Lots(maker.lots() + lots) {
            self.run_resting(symbol, maker);
        }
    }
}

impl Model {
    /// Moves the money of one side of a trade: so much base, so much quote, and how much more quote was held than that.
    /// Its fee, and whether that is paid in another asset than the one received.
    pub(super) fn settle(
        &mut self,
        symbol: SymbolId,
        order: &Order,
        [base, quote, better]: [i128; 3],
        (charged, elsewhere): (i128, bool),
    ) {
        let market = &self.books[symbol.0 as usize].market;
        let (base_asset, quote_asset) = (market.base.id, market.quote.id);
        let fee = if elsewhere { 0 } else { charged };
        match order.side {
            Side::Buy => {
                self.post(order.account, quote_asset, better, -quote - better);
                let got = base - fee;
                let kept = self.paid_in_list(symbol, order, quote + better, got, base);
                self.post(order.account, base_asset, if kept { 0 } else { got }, if kept { got } else { 0 });
            }
            Side::Sell => {
                self.post(order.account, base_asset, 0, -base);
                self.paid_in_list(symbol, order, base, quote - fee, base);
                self.post(order.account, quote_asset, quote - fee, 0);
            }
        }
        if elsewhere {
            self.pay_from_reserve(order, charged);
        }
    }
}
