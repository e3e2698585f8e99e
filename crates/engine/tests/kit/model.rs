//! The exchange again, as plainly as it can be said: lists that are searched from end to end, sums that are added up
//! when they are needed. It shares the vocabulary with the engine and nothing else, and tells every event that the
//! engine must tell, in the same order.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_engine::command::{Body, CancelAll, CancelOrder, NewOrder, Size, Target, TransferRequest};
use crossbook_engine::event::{CloseReason, DepthChanged, OrderClosed, OrderPlaced, Party, Trade};
use crossbook_engine::ledger::Transfer;
use crossbook_engine::{Answer, Command, Event, Refusal};
use crossbook_types::{
    AccountId, Amount, AssetId, CancelRestriction, ClientOrderId, Fees, Filter, Market, MarketStatus, OrderId,
    OrderType, Price, Quantity, SelfTradePrevention, Side, SymbolId, TimeInForce, Timestamp, TradeId, TransferId,
};

/// An open order.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: u64,
    pub account: AccountId,
    pub client: ClientOrderId,
    side: Side,
    kind: OrderType,
    tif: TimeInForce,
    mode: SelfTradePrevention,
    fees: Fees,
    limit: Option<u64>,
    stop: Option<u64>,
    /// Waits for its stop price.
    waits: bool,
    /// What it was placed for.
    size: Left,
    /// Lots left, or quote units left.
    left: Left,
    /// What is still held for it.
    held: i128,
    /// When it took its place; earlier is first.
    since: u64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Left {
    Lots(u64),
    Worth(i128),
}

struct Book {
    market: Market,
    /// Base units in a lot; quote units in a lot at one tick.
    units: (i128, i128),
    /// All open orders, in no order.
    orders: Vec<Order>,
    placed: u64,
    traded: u64,
    updates: u64,
    clock: u64,
    last: Option<u64>,
}

pub struct Model {
    books: Vec<Book>,
    /// Free and held.
    balances: BTreeMap<(AccountId, AssetId), (i128, i128)>,
    accounts: BTreeSet<AccountId>,
    transfers: BTreeMap<(AccountId, TransferId), Transfer>,
    commands: BTreeSet<(u64, u64)>,
    /// Balances that the present command touched, with what they were before.
    touched: Vec<((AccountId, AssetId), (i128, i128))>,
    events: Vec<Event>,
}

fn fee(rate: crossbook_types::FeeRate, amount: i128) -> i128 {
    let product = amount * i128::from(rate.units());
    product / 100_000_000 + i128::from(product % 100_000_000 != 0)
}

fn other(side: Side) -> Side {
    if side == Side::Buy { Side::Sell } else { Side::Buy }
}

impl Book {
    fn base(&self, lots: u64) -> i128 {
        i128::from(lots) * self.units.0
    }

    fn quote(&self, price: u64, lots: u64) -> i128 {
        i128::from(price) * i128::from(lots) * self.units.1
    }

    fn pays(&self, side: Side) -> AssetId {
        if side == Side::Buy { self.market.quote.id } else { self.market.base.id }
    }

    /// The prices of a side, best first.
    fn prices(&self, side: Side) -> Vec<u64> {
        let working = self.orders.iter().filter(|order| order.side == side && !order.waits);
        let mut prices: Vec<u64> = working.map(|order| order.limit.unwrap()).collect();
        prices.sort_unstable();
        prices.dedup();
        if side == Side::Buy {
            prices.reverse();
        }
        prices
    }

    /// The orders at a price, first come first.
    fn queue(&self, side: Side, price: u64) -> Vec<Order> {
        let here = |order: &&Order| order.side == side && !order.waits && order.limit == Some(price);
        let mut queue: Vec<Order> = self.orders.iter().filter(here).cloned().collect();
        queue.sort_unstable_by_key(|order| order.since);
        queue
    }

    fn resting(&self, side: Side, price: u64) -> u64 {
        self.queue(side, price).iter().map(Order::lots).sum()
    }

    fn order(&mut self, id: u64) -> &mut Order {
        self.orders.iter_mut().find(|order| order.id == id).unwrap()
    }

    fn take_out(&mut self, id: u64) -> Order {
        let at = self.orders.iter().position(|order| order.id == id).unwrap();
        self.orders.remove(at)
    }
}

impl Order {
    fn lots(&self) -> u64 {
        match self.left {
            Left::Lots(lots) => lots,
            Left::Worth(_) => panic!("a quote amount has no lots"),
        }
    }

    fn wants_nothing(&self) -> bool {
        matches!(self.left, Left::Lots(0) | Left::Worth(0))
    }

    fn reaches(&self, price: u64) -> bool {
        match (self.limit, self.side) {
            (None, _) => true,
            (Some(limit), Side::Buy) => price <= limit,
            (Some(limit), Side::Sell) => price >= limit,
        }
    }

    fn rises(&self) -> bool {
        matches!(
            (self.kind, self.side),
            (OrderType::StopLoss | OrderType::StopLossLimit, Side::Buy)
                | (OrderType::TakeProfit | OrderType::TakeProfitLimit, Side::Sell)
        )
    }
}

impl Model {
    pub fn new(markets: Vec<(Market, (i128, i128))>, accounts: impl IntoIterator<Item = AccountId>) -> Self {
        let book = |(market, units)| Book {
            market,
            units,
            orders: Vec::new(),
            placed: 0,
            traded: 0,
            updates: 0,
            clock: 0,
            last: None,
        };
        Self {
            books: markets.into_iter().map(book).collect(),
            balances: BTreeMap::new(),
            accounts: accounts.into_iter().collect(),
            transfers: BTreeMap::new(),
            commands: BTreeSet::new(),
            touched: Vec::new(),
            events: Vec::new(),
        }
    }

    pub fn open_orders(&self, symbol: SymbolId) -> &[Order] {
        &self.books[symbol.0 as usize].orders
    }

    /// The events of a command.
    pub fn apply(&mut self, command: &Command) -> Vec<Event> {
        if !self.commands.insert((command.source.0, command.number.0)) {
            return Vec::new();
        }
        let answer = match &command.body {
            Body::Place(order) => self.place(order),
            Body::Cancel(request) => self.cancel(request),
            Body::CancelAll(request) => self.cancel_all(request),
            Body::Transfer(request) => self.transfer(request, command.time),
            Body::ChangeMarket(request) => 'change: {
                let book = &mut self.books[request.symbol.0 as usize];
                let mut description = book.market.description();
                description.status = request.status.unwrap_or(description.status);
                description.fees = request.fees.unwrap_or(description.fees);
                description.filters = request.filters.unwrap_or(description.filters);
                book.market = match Market::new_checked(description) {
                    Ok(market) => market,
                    Err(error) => break 'change Err(Refusal::Market(error)),
                };
                self.events.push(Event::MarketChanged(Box::new(book.market)));
                Ok(Answer::MarketChanged(request.symbol))
            }
            body => panic!("the model knows no {body:?}"),
        };
        let answer = answer.unwrap_or_else(Answer::Refused);
        self.events.push(Event::Answered { source: command.source, number: command.number, answer });
        for ((account, asset), before) in std::mem::take(&mut self.touched) {
            let (free, held) = self.balances[&(account, asset)];
            if (free, held) != before {
                assert!(free >= 0 && held >= 0);
                self.events.push(Event::BalanceChanged { account, asset, free: Amount(free), held: Amount(held) });
            }
        }
        std::mem::take(&mut self.events)
    }

    fn post(&mut self, account: AccountId, asset: AssetId, free: i128, held: i128) {
        let balance = self.balances.entry((account, asset)).or_default();
        if !self.touched.iter().any(|&(key, _)| key == (account, asset)) {
            self.touched.push(((account, asset), *balance));
        }
        balance.0 += free;
        balance.1 += held;
    }

    fn free(&self, account: AccountId, asset: AssetId) -> i128 {
        self.balances.get(&(account, asset)).map_or(0, |balance| balance.0)
    }

    fn transfer(&mut self, request: &TransferRequest, time: Timestamp) -> Result<Answer, Refusal> {
        let &TransferRequest { account, asset, amount, transfer } = request;
        if asset.0 > 2 {
            return Err(Refusal::UnknownAsset);
        }
        if !self.accounts.contains(&account) {
            return Err(Refusal::UnknownAccount);
        }
        if let Some(known) = self.transfers.get(&(account, transfer)) {
            if (known.asset, known.amount) != (asset, amount) {
                return Err(Refusal::TransferConflict);
            }
            return Ok(Answer::Transferred(Box::new(known.clone())));
        }
        if amount.0 == 0 {
            return Err(Refusal::TransferAmount);
        }
        if self.free(account, asset) + amount.0 < 0 {
            return Err(Refusal::InsufficientBalance);
        }
        self.post(account, asset, amount.0, 0);
        let record = Transfer { account, asset, amount, transfer, time };
        self.transfers.insert((account, transfer), record.clone());
        self.events.push(Event::Transferred(Box::new(record.clone())));
        Ok(Answer::Transferred(Box::new(record)))
    }

    fn known(&self, account: AccountId, symbol: SymbolId) -> Result<(), Refusal> {
        if !self.accounts.contains(&account) {
            return Err(Refusal::UnknownAccount);
        }
        if symbol.0 as usize >= self.books.len() {
            return Err(Refusal::UnknownSymbol);
        }
        Ok(())
    }

    fn cancel(&mut self, request: &CancelOrder) -> Result<Answer, Refusal> {
        self.known(request.account, request.symbol)?;
        let meant = |order: &&Order| {
            let named = match request.target {
                Target::Order(id) => order.id == id.0,
                Target::Client(name) => order.client == name,
                Target::Both(id, name) => order.id == id.0 && order.client == name,
            };
            named && order.account == request.account
        };
        let orders = &self.books[request.symbol.0 as usize].orders;
        let order = orders.iter().find(meant).ok_or(Refusal::UnknownOrder)?;
        let (id, new) = (order.id, order.left == order.size);
        match request.restriction {
            Some(CancelRestriction::OnlyNew) if !new => return Err(Refusal::CancelRestricted),
            Some(CancelRestriction::OnlyPartiallyFilled) if new => return Err(Refusal::CancelRestricted),
            _ => {}
        }
        self.cancel_one(request.symbol, id, request.cancel_id);
        Ok(Answer::Canceled { symbol: request.symbol, order: OrderId(id) })
    }

    fn cancel_all(&mut self, request: &CancelAll) -> Result<Answer, Refusal> {
        self.known(request.account, request.symbol)?;
        let orders = &self.books[request.symbol.0 as usize].orders;
        let own = orders.iter().filter(|order| order.account == request.account);
        let mut ids: Vec<u64> = own.map(|order| order.id).collect();
        ids.sort_unstable();
        if ids.is_empty() {
            return Err(Refusal::UnknownOrder);
        }
        for &id in &ids {
            self.cancel_one(request.symbol, id, request.cancel_id);
        }
        Ok(Answer::CanceledAll { symbol: request.symbol, count: ids.len() as u32 })
    }

    fn cancel_one(&mut self, symbol: SymbolId, id: u64, cancel_id: ClientOrderId) {
        let order = self.books[symbol.0 as usize].take_out(id);
        self.end(symbol, &order, CloseReason::Canceled { cancel_id });
        if !order.waits {
            self.tell_depth(symbol, order.side, order.limit.unwrap());
        }
    }

    /// An order that is out of the book ends: what it still holds is free again.
    fn end(&mut self, symbol: SymbolId, order: &Order, reason: CloseReason) {
        let asset = self.books[symbol.0 as usize].pays(order.side);
        if order.held != 0 {
            self.post(order.account, asset, order.held, -order.held);
        }
        let (order, account) = (OrderId(order.id), order.account);
        self.events.push(Event::OrderClosed(OrderClosed { symbol, order, account, reason }));
    }

    fn tell_depth(&mut self, symbol: SymbolId, side: Side, price: u64) {
        let book = &mut self.books[symbol.0 as usize];
        book.updates += 1;
        let (update, quantity) = (book.updates, Quantity(book.resting(side, price)));
        self.events.push(Event::DepthChanged(DepthChanged { symbol, side, price: Price(price), quantity, update }));
    }

    /// What an order must not be, whatever the book.
    fn check_form(&self, order: &NewOrder) -> Result<(), Refusal> {
        let book = &self.books[order.symbol.0 as usize];
        let f = book.market.filters;
        let (priced, stopped) = match order.order_type {
            OrderType::Limit | OrderType::LimitMaker => (true, false),
            OrderType::Market => (false, false),
            OrderType::StopLoss | OrderType::TakeProfit => (false, true),
            OrderType::StopLossLimit | OrderType::TakeProfitLimit => (true, true),
        };
        let timed = priced && order.order_type != OrderType::LimitMaker;
        if order.price.is_some() != priced
            || order.stop_price.is_some() != stopped
            || (matches!(order.size, Size::Quote(_)) && order.order_type != OrderType::Market)
            || (order.time_in_force != TimeInForce::Gtc && !timed)
        {
            return Err(Refusal::MalformedOrder);
        }
        for price in [order.price, order.stop_price].into_iter().flatten() {
            if price < f.price_min || price > f.price_max {
                return Err(Refusal::Filter(Filter::Price));
            }
        }
        let worth = match order.size {
            Size::Quote(amount) => Some(amount.0),
            Size::Base(quantity) => {
                if quantity < f.quantity_min || quantity > f.quantity_max {
                    return Err(Refusal::Filter(Filter::LotSize));
                }
                if !priced && quantity > f.market_quantity_max {
                    return Err(Refusal::Filter(Filter::MarketLotSize));
                }
                order.price.or(order.stop_price).map(|price| book.quote(price.0, quantity.0))
            }
        };
        match worth {
            Some(worth) if worth < f.notional_min.0 || worth > f.notional_max.0 => {
                Err(Refusal::Filter(Filter::Notional))
            }
            _ => Ok(()),
        }
    }

    /// What the order could cost at most, and whether it may have less.
    fn worst_cost(&self, order: &NewOrder) -> (i128, bool) {
        let book = &self.books[order.symbol.0 as usize];
        let f = book.market.filters;
        let largest = f.quantity_max.0.max(f.market_quantity_max.0);
        match (order.side, order.size, order.price, order.stop_price) {
            (Side::Sell, Size::Base(quantity), ..) => (book.base(quantity.0), false),
            (Side::Sell, Size::Quote(_), ..) => (book.base(largest), true),
            (Side::Buy, Size::Quote(amount), ..) => (amount.0, false),
            (Side::Buy, Size::Base(quantity), Some(price), _) => (book.quote(price.0, quantity.0), false),
            (Side::Buy, Size::Base(quantity), None, Some(stop)) => (book.quote(stop.0, quantity.0) * 110 / 100, false),
            (Side::Buy, Size::Base(quantity), None, None) => (book.quote(f.price_max.0, quantity.0), true),
        }
    }

    /// What an order must not be, as the book is now.
    fn check_book(&self, order: &NewOrder, budget: i128) -> Result<(), Refusal> {
        let book = &self.books[order.symbol.0 as usize];
        let f = book.market.filters;
        if book.market.status != MarketStatus::Trading {
            return Err(Refusal::MarketClosed(book.market.status));
        }
        let own: Vec<&Order> = book.orders.iter().filter(|open| open.account == order.account).collect();
        if own.iter().any(|open| open.client == order.client_order_id) {
            return Err(Refusal::DuplicateClientOrderId);
        }
        if own.len() >= f.orders_max as usize {
            return Err(Refusal::Filter(Filter::MaxOrders));
        }
        let waiting = own.iter().filter(|open| open.waits).count();
        if order.stop_price.is_some() && waiting >= f.algo_orders_max as usize {
            return Err(Refusal::Filter(Filter::MaxAlgoOrders));
        }
        if let (Some(Price(price)), Some(last)) = (order.price, book.last) {
            let (up, down) = (u64::from(f.band_up_percent), u64::from(f.band_down_percent));
            if (up > 0 && price * 100 > last * up) || (down > 0 && price * 100 < last * down) {
                return Err(Refusal::Filter(Filter::PercentPrice));
            }
        }
        if let (Some(Price(stop)), Some(last)) = (order.stop_price, book.last) {
            let rises = self.sketch(order).rises();
            if (rises && last >= stop) || (!rises && last <= stop) {
                return Err(Refusal::WouldTrigger);
            }
        }
        let facing = other(order.side);
        if order.order_type == OrderType::LimitMaker
            && book.prices(facing).first().is_some_and(|&best| self.sketch(order).reaches(best))
        {
            return Err(Refusal::WouldTake);
        }
        if order.order_type == OrderType::Market {
            if let (Size::Base(quantity), Some(last)) = (order.size, book.last)
                && book.quote(last, quantity.0) < f.notional_min.0
            {
                return Err(Refusal::Filter(Filter::Notional));
            }
            if budget == 0 || self.sweep_cost(order) > budget {
                return Err(Refusal::InsufficientBalance);
            }
        }
        Ok(())
    }

    /// What a market order would pay for all that it could take now.
    fn sweep_cost(&self, order: &NewOrder) -> i128 {
        let book = &self.books[order.symbol.0 as usize];
        let mut left = self.sketch(order).left;
        let mut cost = 0;
        for price in book.prices(other(order.side)) {
            let wanted = match left {
                Left::Lots(lots) => lots,
                Left::Worth(worth) => (worth / book.quote(price, 1)) as u64,
            };
            if wanted == 0 {
                break;
            }
            let lots = wanted.min(book.resting(other(order.side), price));
            cost += if order.side == Side::Buy { book.quote(price, lots) } else { book.base(lots) };
            left = match left {
                Left::Lots(some) => Left::Lots(some - lots),
                Left::Worth(worth) => Left::Worth(worth - book.quote(price, lots)),
            };
        }
        cost
    }

    fn sketch(&self, order: &NewOrder) -> Order {
        let size = match order.size {
            Size::Base(quantity) => Left::Lots(quantity.0),
            Size::Quote(amount) => Left::Worth(amount.0),
        };
        Order {
            id: 0,
            account: order.account,
            client: order.client_order_id,
            side: order.side,
            kind: order.order_type,
            tif: order.time_in_force,
            mode: order.self_trade_prevention,
            fees: self.books[order.symbol.0 as usize].market.fees,
            limit: order.price.map(|price| price.0),
            stop: order.stop_price.map(|price| price.0),
            waits: order.stop_price.is_some(),
            size,
            left: size,
            held: 0,
            since: 0,
        }
    }

    fn place(&mut self, new: &NewOrder) -> Result<Answer, Refusal> {
        let symbol = new.symbol;
        if symbol.0 as usize >= self.books.len() {
            return Err(Refusal::UnknownSymbol);
        }
        self.check_form(new)?;
        if !self.accounts.contains(&new.account) {
            return Err(Refusal::UnknownAccount);
        }
        let asset = self.books[symbol.0 as usize].pays(new.side);
        let free = self.free(new.account, asset);
        let budget = match self.worst_cost(new) {
            (cost, true) => cost.min(free),
            (cost, false) if cost > free => return Err(Refusal::InsufficientBalance),
            (cost, false) => cost,
        };
        self.check_book(new, budget)?;
        self.post(new.account, asset, -budget, budget);
        let mut order = self.sketch(new);
        order.held = budget;
        let book = &mut self.books[symbol.0 as usize];
        book.placed += 1;
        order.id = book.placed;
        let id = OrderId(order.id);
        self.events.push(Event::OrderPlaced(OrderPlaced {
            order: id,
            symbol,
            account: new.account,
            client_order_id: new.client_order_id,
            side: new.side,
            order_type: new.order_type,
            time_in_force: new.time_in_force,
            price: new.price,
            size: new.size,
            stop_price: new.stop_price,
            self_trade_prevention: new.self_trade_prevention,
        }));
        if order.waits {
            book.clock += 1;
            order.since = book.clock;
            book.orders.push(order);
        } else {
            let mut prices = Vec::new();
            self.work(symbol, order, &mut prices);
            while let Some(next) = self.next_to_trigger(symbol, &prices) {
                let mut order = self.books[symbol.0 as usize].take_out(next);
                order.waits = false;
                self.events.push(Event::OrderTriggered { symbol, order: OrderId(order.id), account: order.account });
                self.work(symbol, order, &mut prices);
            }
        }
        Ok(Answer::Placed { symbol, order: id })
    }

    /// Of the waiting orders whose stop one of these trades reached: those that wait for a rise first, the nearest stop
    /// first, the oldest first.
    fn next_to_trigger(&self, symbol: SymbolId, prices: &[u64]) -> Option<u64> {
        let (high, low) = (*prices.iter().max()?, *prices.iter().min()?);
        let waiting = self.books[symbol.0 as usize].orders.iter().filter(|order| order.waits);
        let reached = waiting.filter(|order| {
            let stop = order.stop.unwrap();
            if order.rises() { stop <= high } else { stop >= low }
        });
        let rank = |order: &&Order| {
            let stop = order.stop.unwrap();
            let near = if order.rises() { stop } else { u64::MAX - stop };
            (!order.rises(), near, order.since)
        };
        reached.min_by_key(rank).map(|order| order.id)
    }

    /// An order takes what it can; the rest of it rests or ends.
    fn work(&mut self, symbol: SymbolId, mut order: Order, prices: &mut Vec<u64>) {
        let at = symbol.0 as usize;
        let mut traded = false;
        // Ended for another reason than that nothing was left at its price.
        let mut ended: Option<CloseReason> = None;
        let kill = order.tif == TimeInForce::Fok && !self.could_fill(symbol, &order);
        let levels = if kill { Vec::new() } else { self.books[at].prices(other(order.side)) };
        'levels: for price in levels {
            if order.wants_nothing() || !order.reaches(price) {
                break;
            }
            let mut changed = false;
            for maker in self.books[at].queue(other(order.side), price) {
                if order.wants_nothing() {
                    break;
                }
                if maker.account == order.account && order.mode != SelfTradePrevention::None {
                    if matches!(order.mode, SelfTradePrevention::ExpireMaker | SelfTradePrevention::ExpireBoth) {
                        let maker = self.books[at].take_out(maker.id);
                        self.end(symbol, &maker, CloseReason::SelfTradePrevented);
                        changed = true;
                    }
                    if matches!(order.mode, SelfTradePrevention::ExpireTaker | SelfTradePrevention::ExpireBoth) {
                        ended = Some(CloseReason::SelfTradePrevented);
                        break;
                    }
                    continue;
                }
                let book = &self.books[at];
                let wanted = match order.left {
                    Left::Lots(lots) => lots,
                    Left::Worth(worth) => (worth / book.quote(price, 1)) as u64,
                };
                if wanted == 0 {
                    ended = Some(if traded { CloseReason::Filled } else { CloseReason::Expired });
                    break;
                }
                let payable = match order.side {
                    Side::Buy => order.held / book.quote(price, 1),
                    Side::Sell => order.held / book.base(1),
                };
                if payable == 0 {
                    ended = Some(CloseReason::Expired);
                    break;
                }
                let lots = wanted.min(maker.lots()).min(u64::try_from(payable).unwrap());
                self.trade(symbol, &mut order, maker.id, price, lots);
                prices.push(price);
                (traded, changed) = (true, true);
                if lots < maker.lots() {
                    // Done, or it cannot pay for more.
                    ended = Some(if lots == wanted { CloseReason::Filled } else { CloseReason::Expired });
                    break;
                }
            }
            if changed {
                self.tell_depth(symbol, other(order.side), price);
            }
            if ended.is_some() {
                break 'levels;
            }
        }
        let small_change = match order.left {
            Left::Worth(worth) => prices.last().is_some_and(|&last| worth < self.books[at].quote(last, 1)),
            Left::Lots(_) => false,
        };
        let filled = order.wants_nothing() || (small_change && ended.is_none());
        let rests = order.tif == TimeInForce::Gtc && order.limit.is_some() && ended.is_none() && !filled;
        if rests {
            let book = &mut self.books[at];
            book.clock += 1;
            order.since = book.clock;
            let (side, price) = (order.side, order.limit.unwrap());
            book.orders.push(order);
            self.tell_depth(symbol, side, price);
        } else {
            let reason = if filled { CloseReason::Filled } else { ended.unwrap_or(CloseReason::Expired) };
            self.end(symbol, &order, reason);
        }
    }

    fn could_fill(&self, symbol: SymbolId, order: &Order) -> bool {
        let book = &self.books[symbol.0 as usize];
        let mut found = 0;
        for price in book.prices(other(order.side)).into_iter().filter(|&price| order.reaches(price)) {
            for maker in book.queue(other(order.side), price) {
                if found >= order.lots() {
                    return true;
                }
                match order.mode {
                    _ if maker.account != order.account => found += maker.lots(),
                    SelfTradePrevention::None => found += maker.lots(),
                    SelfTradePrevention::ExpireMaker => {}
                    SelfTradePrevention::ExpireTaker | SelfTradePrevention::ExpireBoth => return false,
                }
            }
        }
        found >= order.lots()
    }

    fn trade(&mut self, symbol: SymbolId, taker: &mut Order, maker: u64, price: u64, lots: u64) {
        let book = &mut self.books[symbol.0 as usize];
        book.traded += 1;
        book.last = Some(price);
        let (trade, base_asset, quote_asset) = (TradeId(book.traded), book.market.base.id, book.market.quote.id);
        let (base, quote) = (book.base(lots), book.quote(price, lots));
        // Held at the limit, paid at the price.
        let at_limit = taker.limit.map_or(quote, |limit| book.quote(limit, lots));
        let order = book.order(maker);
        order.left = Left::Lots(order.lots() - lots);
        order.held -= if order.side == Side::Buy { quote } else { base };
        let maker = order.clone();
        taker.left = match taker.left {
            Left::Lots(some) => Left::Lots(some - lots),
            Left::Worth(worth) => Left::Worth(worth - quote),
        };
        taker.held -= if taker.side == Side::Buy { at_limit } else { base };
        let rate = |order: &Order| if order.id == maker.id { order.fees.maker } else { order.fees.taker };
        let fee_of = |order: &Order| fee(rate(order), if order.side == Side::Buy { base } else { quote });
        let (taker_fee, maker_fee) = (fee_of(taker), fee_of(&maker));
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
        for (order, fee, better) in [(&*taker, taker_fee, better), (&maker, maker_fee, 0)] {
            match order.side {
                Side::Buy => {
                    self.post(order.account, quote_asset, better, -quote - better);
                    self.post(order.account, base_asset, base - fee, 0);
                }
                Side::Sell => {
                    self.post(order.account, base_asset, 0, -base);
                    self.post(order.account, quote_asset, quote - fee, 0);
                }
            }
        }
        if maker.lots() == 0 {
            let maker = self.books[symbol.0 as usize].take_out(maker.id);
            self.end(symbol, &maker, CloseReason::Filled);
        }
    }
}
