//! Orders of the naive exchange: acceptance, matching, and their effect on other orders.

use crossbook_protocol::event::{CloseReason, Event, OrderPlaced, Party, Trade};
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_protocol::{Answer, Refusal};
use crossbook_types::{
    Amount, Feature, Filter, MarketStatus, OrderId, OrderType, Price, Quantity, RejectReason, SelfTradePrevention,
    Side, SymbolId, TimeInForce, TradeId,
};

use super::{Left, Model, Order, other};

impl Model {
    /// What an order must not be, whatever its size and the book.
    pub(super) fn check_unsized(&self, order: &NewOrder) -> Result<(), Refusal> {
        let book = &self.books[order.terms.symbol.0 as usize];
        let f = book.market.filters;
        let (priced, stopped) = match order.terms.order_type {
            OrderType::Limit | OrderType::LimitMaker => (true, false),
            OrderType::Market => (false, false),
            OrderType::StopLoss | OrderType::TakeProfit => (false, true),
            OrderType::StopLossLimit | OrderType::TakeProfitLimit => (true, true),
        };
        let timed = priced && order.terms.order_type != OrderType::LimitMaker;
        if order.terms.price.is_some() != priced
            || order.terms.stop_price.is_some() != stopped
            || (matches!(order.terms.size, Size::Quote(_)) && order.terms.order_type != OrderType::Market)
            || (order.terms.time_in_force != TimeInForce::Gtc && !timed)
        {
            return Err(Refusal::MalformedOrder);
        }
        if !book.market.self_trade.allowed().any(|mode| mode == order.terms.self_trade_prevention) {
            return Err(Refusal::SelfTradeMode);
        }
        for price in [order.terms.price, order.terms.stop_price.get()].into_iter().flatten() {
            if price < f.price_min || price > f.price_max {
                return Err(Refusal::Filter(Filter::Price));
            }
        }
        Ok(())
    }

    /// What an order must not be, whatever the book.
    pub(super) fn check_form(&self, order: &NewOrder) -> Result<(), Refusal> {
        let claims = order.terms.instructions.as_ref().is_some_and(|asked| asked.list.is_some());
        if claims {
            return Err(Refusal::MalformedOrder);
        }
        self.check_unsized(order)?;
        let book = &self.books[order.terms.symbol.0 as usize];
        let f = book.market.filters;
        let priced = order.terms.price.is_some();
        let worth = match order.terms.size {
            Size::Quote(Amount(0)) => return Err(Refusal::Filter(Filter::Notional)),
            Size::Quote(amount) => Some(amount.0),
            Size::Base(quantity) => {
                if quantity < f.quantity_min || quantity > f.quantity_max {
                    return Err(Refusal::Filter(Filter::LotSize));
                }
                if !priced && quantity > f.market_quantity_max {
                    return Err(Refusal::Filter(Filter::MarketLotSize));
                }
                order.terms.price.or(order.terms.stop_price.get()).map(|price| book.quote(price.0, quantity.0))
            }
        };
        // The largest worth is that of orders with a limit, if the market does not say otherwise.
        worth.map_or(Ok(()), |worth| book.check_worth(worth, priced))?;
        self.check_iceberg(order, priced)
    }

    fn check_iceberg(&self, order: &NewOrder, priced: bool) -> Result<(), Refusal> {
        if order.terms.iceberg().is_none() {
            return Ok(());
        }
        let Size::Base(Quantity(lots)) = order.terms.size else {
            return Err(Refusal::MalformedOrder);
        };
        self.check_part(order, priced)?;
        self.check_parts(&order.terms, lots)
    }

    /// Whether an order may be an iceberg order, if it is one, whatever its size.
    pub(super) fn check_part(&self, order: &NewOrder, priced: bool) -> Result<(), Refusal> {
        let f = self.books[order.terms.symbol.0 as usize].market.filters;
        match order.terms.iceberg() {
            None => Ok(()),
            Some(Quantity(part)) if part == 0 || !priced || order.terms.time_in_force != TimeInForce::Gtc => {
                Err(Refusal::MalformedOrder)
            }
            Some(_) if f.special.iceberg_parts_max == 0 => Err(Refusal::Unsupported(Feature::Iceberg)),
            Some(_) => Ok(()),
        }
    }

    /// Whether an iceberg order may have that many lots.
    pub(super) fn check_parts(&self, terms: &OrderTerms, lots: u64) -> Result<(), Refusal> {
        let f = self.books[terms.symbol.0 as usize].market.filters;
        let Some(part) = terms.iceberg() else {
            return Ok(());
        };
        let parts = lots.div_ceil(part.0);
        match f.special.iceberg_parts_max {
            _ if part.0 > lots => Err(Refusal::IcebergTooLarge),
            _ if part < f.quantity_min => Err(Refusal::Filter(Filter::LotSize)),
            most if parts > u64::from(most) => Err(Refusal::Filter(Filter::IcebergParts)),
            _ => Ok(()),
        }
    }

    /// What the order could cost at most, and whether it may have less.
    fn worst_cost(&self, order: &NewOrder) -> (i128, bool) {
        let book = &self.books[order.terms.symbol.0 as usize];
        let f = book.market.filters;
        let largest = f.quantity_max.0.min(f.market_quantity_max.0);
        match (order.terms.side, order.terms.size, order.terms.price, order.terms.stop_price.get()) {
            (Side::Sell, Size::Base(quantity), ..) => (book.base(quantity.0), false),
            (Side::Sell, Size::Quote(_), ..) => (book.base(largest), true),
            (Side::Buy, Size::Quote(amount), ..) => (amount.0, false),
            (Side::Buy, Size::Base(quantity), Some(price), _) => (book.quote(price.0, quantity.0), false),
            (Side::Buy, Size::Base(quantity), None, Some(stop)) => (book.quote(stop.0, quantity.0) * 110 / 100, false),
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
        if book.market.status != MarketStatus::Trading {
            return Err(Refusal::MarketClosed(book.market.status));
        }
        let own: Vec<&Order> = book.orders.iter().filter(|open| open.account == order.account).collect();
        if named {
            self.check_name(order)?;
        }
        if own.len() >= f.orders_max as usize {
            return Err(Refusal::Filter(Filter::MaxOrders));
        }
        let waiting = own.iter().filter(|open| open.waits && open.stop.is_some()).count();
        if order.terms.stop_price.is_some() && waiting >= f.algo_orders_max as usize {
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
            && book.prices(facing).first().is_some_and(|&best| self.sketch(order).reaches(best))
        {
            return Err(Refusal::WouldTake);
        }
        if order.terms.order_type == OrderType::Market {
            if let Size::Base(quantity) = order.terms.size {
                let worth = book.reference(self.now).map_or(0, |price| book.quote(price, quantity.0));
                book.check_worth(worth, false)?;
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
                makes_way = queue.iter().filter(|maker| maker.account == order.account).map(Order::lots).sum();
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
            limit: order.terms.price.map(|price| price.0),
            stop: order.terms.stop_price.get().map(|price| price.0),
            waits: order.terms.stop_price.is_some(),
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
        }
    }

    pub(super) fn place(&mut self, new: &NewOrder) -> Result<Answer, Refusal> {
        self.place_as(new, true)
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
        self.check_form(new)?;
        if limited {
            self.check_account(new)?;
        }
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
        self.rate(new.account);
        self.check_book(new, budget, limited)?;
        self.post(new.account, asset, -budget, budget);
        let mut order = self.sketch(new);
        order.held = budget;
        self.mark_counted(&mut order, symbol);
        let book = &mut self.books[symbol.0 as usize];
        book.placed += 1;
        order.id = book.placed;
        let id = OrderId(order.id);
        self.events.push(Event::OrderPlaced(OrderPlaced { order: id, account: new.account, terms: new.terms.clone() }));
        if order.waits {
            book.clock += 1;
            order.since = book.clock;
            book.orders.push(order);
        } else {
            self.steps = 0;
            let mut prices = Vec::new();
            self.work(symbol, order, &mut prices);
            let others_first = self.books[symbol.0 as usize].reached.is_some();
            self.reach(symbol, &prices);
            if !others_first {
                self.trigger(symbol, self.bounds.triggers);
            }
            self.note_work(symbol);
        }
        Ok(Answer::Placed { symbol, order: id })
    }

    /// An order takes what it can; the rest of it rests or ends.
    pub(super) fn work(&mut self, symbol: SymbolId, mut order: Order, prices: &mut Vec<u64>) {
        let at = symbol.0 as usize;
        let mut traded = false;
        // Ended for another reason than that nothing was left at its price.
        let mut ended: Option<CloseReason> = None;
        if order.tif == TimeInForce::Fok {
            self.steps += self.looks(symbol, &order) / self.bounds.looks_per_step;
        }
        let kill = order.tif == TimeInForce::Fok && !self.could_fill(symbol, &order);
        let levels = if kill { Vec::new() } else { self.books[at].prices(other(order.side)) };
        for price in levels {
            if order.wants_nothing() || !order.reaches(price) {
                break;
            }
            ended = self.work_at(symbol, &mut order, price, &mut traded, prices);
            if ended.is_some() {
                break;
            }
        }
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
            book.orders.push(order);
            self.publish_depth(symbol, side, price);
        } else {
            let reason = if filled { CloseReason::Filled } else { ended.unwrap_or(CloseReason::Expired) };
            self.end(symbol, &order, reason);
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
            if maker.account == order.account && order.mode != SelfTradePrevention::None {
                self.publish_prevented(symbol, order, &maker, price);
                if order.mode == SelfTradePrevention::Decrement {
                    changed = true;
                    if self.decrement(symbol, order, &maker, price, wanted) {
                        ended = Some(CloseReason::SelfTradePrevented);
                        break;
                    }
                    continue;
                }
                if matches!(order.mode, SelfTradePrevention::ExpireMaker | SelfTradePrevention::ExpireBoth) {
                    let maker = self.books[at].take_out(maker.id);
                    self.end(symbol, &maker, CloseReason::SelfTradePrevented);
                    self.steps += 1;
                    changed = true;
                }
                if matches!(order.mode, SelfTradePrevention::ExpireTaker | SelfTradePrevention::ExpireBoth) {
                    ended = Some(CloseReason::SelfTradePrevented);
                    break;
                }
                continue;
            }
            let book = &self.books[at];
            let payable = match order.side {
                Side::Buy => order.held / book.quote(price, 1),
                Side::Sell => order.held / book.base(1),
            };
            // A waiting order may find that what is held for it does not suffice.
            let unaffordable = match (order.stop, order.list) {
                (None, None) => CloseReason::Expired,
                _ => CloseReason::Unaffordable,
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

    /// How many price levels and orders are looked at to see whether an order would be filled whole: if it must not
    /// meet its own account's orders, all of these, then the price levels within its limit until there is enough, and
    /// of a level that has an order which would end it, if enough is there, the orders before that.
    fn looks(&self, symbol: SymbolId, order: &Order) -> u32 {
        let book = &self.books[symbol.0 as usize];
        let own = |open: &&Order| open.account == order.account;
        let mut looks = match order.mode {
            SelfTradePrevention::None => 0,
            _ => book.orders.iter().filter(own).count() as u32,
        };
        let mut left = order.lots();
        for price in book.prices(other(order.side)).into_iter().filter(|&price| order.reaches(price)) {
            let queue = book.queue(other(order.side), price);
            let there: u64 = queue.iter().map(Order::lots).sum();
            let seen: u64 = queue.iter().map(Order::shown).sum();
            let before = match (order.mode, queue.iter().position(|maker| maker.account == order.account)) {
                (
                    SelfTradePrevention::ExpireTaker | SelfTradePrevention::ExpireBoth | SelfTradePrevention::Decrement,
                    Some(before),
                ) => before,
                (mode, _) => {
                    looks += 1;
                    let makes_way = match mode {
                        SelfTradePrevention::ExpireMaker => queue.iter().filter(own).map(Order::lots).sum(),
                        _ => 0,
                    };
                    left = left.saturating_sub(there - makes_way);
                    if left == 0 {
                        break;
                    }
                    continue;
                }
            };
            if seen >= left {
                for maker in &queue[..before] {
                    looks += 1;
                    left = left.saturating_sub(maker.shown());
                    if left == 0 {
                        break;
                    }
                }
            }
            break;
        }
        looks
    }

    fn could_fill(&self, symbol: SymbolId, order: &Order) -> bool {
        let book = &self.books[symbol.0 as usize];
        let mut found = 0;
        for price in book.prices(other(order.side)).into_iter().filter(|&price| order.reaches(price)) {
            let queue = book.queue(other(order.side), price);
            // Where it meets one of its account, what others hide is behind that.
            let meets = queue.iter().any(|maker| maker.account == order.account)
                && !matches!(order.mode, SelfTradePrevention::None | SelfTradePrevention::ExpireMaker);
            for maker in queue {
                if found >= order.lots() {
                    return true;
                }
                match order.mode {
                    _ if maker.account != order.account && meets => found += maker.shown(),
                    _ if maker.account != order.account => found += maker.lots(),
                    SelfTradePrevention::None => found += maker.lots(),
                    SelfTradePrevention::ExpireMaker => {}
                    SelfTradePrevention::ExpireTaker
                    | SelfTradePrevention::ExpireBoth
                    | SelfTradePrevention::Decrement => return false,
                }
            }
        }
        found >= order.lots()
    }

    fn trade(&mut self, symbol: SymbolId, taker: &mut Order, maker: u64, price: u64, lots: u64) {
        self.steps += 1;
        let book = &mut self.books[symbol.0 as usize];
        book.traded += 1;
        book.clock += 1;
        let clock = book.clock;
        book.last = Some(price);
        if book.market.filters.relative.average_minutes > 0 {
            book.history.push((self.now, price, lots));
        }
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
        let maker_fee = order.charge(order.fees.maker, received(order.side));
        let maker = order.clone();
        let taker_fee = taker.charge(taker.fees.taker, received(taker.side));
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
        }));
        let better = if taker.side == Side::Buy { at_limit - quote } else { 0 };
        for order in [&*taker, &maker] {
            self.count_volume(order.account, [(base_asset, base), (quote_asset, quote)]);
        }
        for (order, fee, better) in [(&*taker, taker_fee, better), (&maker, maker_fee, 0)] {
            match order.side {
                Side::Buy => {
                    self.post(order.account, quote_asset, better, -quote - better);
                    let got = base - fee;
                    let kept = self.paid_in_list(symbol, order, quote + better, got);
                    self.post(order.account, base_asset, if kept { 0 } else { got }, if kept { got } else { 0 });
                }
                Side::Sell => {
                    self.post(order.account, base_asset, 0, -base);
                    self.paid_in_list(symbol, order, base, quote - fee);
                    self.post(order.account, quote_asset, quote - fee, 0);
                }
            }
        }
        if maker.lots() == 0 {
            let maker = self.books[symbol.0 as usize].take_out(maker.id);
            self.end(symbol, &maker, CloseReason::Filled);
        } else if maker.size == Left::Lots(maker.lots() + lots) {
            self.runs_in_list(symbol, &maker);
        }
    }
}
