//! Order lists of the naive exchange.

use crossbook_protocol::event::{CloseReason, Event, OrderClosed, OrderPlaced};
use crossbook_protocol::order::{Membership, NewOrder, OrderTerms, Size};
use crossbook_protocol::order_list::{CancelList, ListPlaced, ListTarget, NewList};
use crossbook_protocol::{Answer, Refusal};
use crossbook_types::{
    AccountId, AssetId, ClientOrderId, Filter, ListKind, ListStatus, MarketStatus, OrderId, OrderListId, OrderType,
    Side, SymbolId,
};

use super::{Left, Model, Order, other};

/// An open list.
#[derive(Clone, Debug)]
pub struct List {
    /// Its number.
    pub id: OrderListId,
    /// Whose it is.
    pub account: AccountId,
    /// The client's name for it.
    pub name: ClientOrderId,
    pub(super) kind: ListKind,
    /// The working order, while it is open.
    pub working: Option<u64>,
    /// The other open orders.
    pub others: Vec<u64>,
    /// Whether these are placed.
    pub(super) placed: bool,
    /// What is held for them together, and of which asset.
    pub(super) pot: i128,
    pub(super) pays_with: AssetId,
    /// The price of the working order.
    pub(super) near: Option<u64>,
    /// Of all of these, if orders are counted: whether it is a stop order, and whether it is an iceberg order.
    pub(super) counts: Vec<(bool, bool)>,
    /// What they would still bring, if that is counted.
    pub(super) coming: i128,
}

pub(super) fn lots(terms: &OrderTerms) -> u64 {
    match terms.size {
        Size::Base(quantity) => quantity.0,
        Size::Quote(_) => panic!("an order of a list has a quantity"),
    }
}

/// The limit price that counts, if an order names it.
pub(super) fn named(terms: &OrderTerms) -> Option<u64> {
    terms.limit().map(|price| price.0)
}

pub(super) fn stop_of(terms: &OrderTerms) -> Option<u64> {
    terms.stop_price.get().map(|stop| stop.0)
}

/// Whether an order buys, and names no price at which.
fn is_blank(terms: &OrderTerms) -> bool {
    terms.side == Side::Buy && named(terms).is_none() && stop_of(terms).is_none()
}

/// Whether the prices of a pair are in their order, as far as they are known; `maker` is that of the other order if it
/// rests at once.
fn are_apart(stop: &OrderTerms, other: &OrderTerms, maker: Option<u64>, last: Option<u64>) -> bool {
    let taken = if other.order_type == OrderType::LimitMaker { maker } else { stop_of(other) };
    let (low, high) = if stop.side == Side::Sell { (stop_of(stop), taken) } else { (taken, stop_of(stop)) };
    let known: Vec<u64> = [low, last, high].into_iter().flatten().collect();
    known.windows(2).all(|pair| pair[0] < pair[1])
}

/// What of a list follows from its market.
struct Priced {
    /// The price near which orders run that name none.
    near: Option<u64>,
    /// What all of its orders need but for the working one.
    needs: Vec<i128>,
    /// What is held for these.
    pot: i128,
    /// What the dearest of these is taken to be worth.
    worth: i128,
}

impl Model {
    /// All open lists of a market.
    ///
    /// # Panics
    /// When there is no such market.
    #[must_use]
    pub fn open_lists(&self, symbol: SymbolId) -> &[List] {
        &self.books[symbol.0 as usize].lists
    }

    pub(super) fn list(&mut self, symbol: SymbolId, id: OrderListId) -> &mut List {
        self.books[symbol.0 as usize].lists.iter_mut().find(|list| list.id == id).unwrap()
    }

    /// What a list must not be, whatever the book.
    fn check_list_form(&self, new: &NewList) -> Result<(), Refusal> {
        let filters = self.books[new.symbol.0 as usize].market.filters;
        if filters.order_lists_max == 0 {
            return Err(Refusal::NoOrderLists);
        }
        let count = match new.kind {
            ListKind::Oco | ListKind::Oto | ListKind::Opo => 2,
            ListKind::Otoco | ListKind::Opoco => 3,
        };
        let belongs = |terms: &OrderTerms| {
            let claims = terms.instructions.as_ref().is_some_and(|asked| asked.list.is_some());
            terms.symbol == new.symbol && matches!(terms.size, Size::Base(_)) && !claims
        };
        if new.orders.len() != count || !new.orders.iter().all(belongs) {
            return Err(Refusal::MalformedOrder);
        }
        let paid = matches!(new.kind, ListKind::Opo | ListKind::Opoco);
        let first = usize::from(new.kind != ListKind::Oco);
        for (at, terms) in new.orders.iter().enumerate() {
            let single = NewOrder { account: new.account, terms: terms.clone() };
            if at < first {
                let works = matches!(terms.order_type, OrderType::Limit | OrderType::LimitMaker);
                if !works || (paid && terms.side == Side::Sell) {
                    return Err(Refusal::MalformedOrder);
                }
                self.check_form(&single)?;
                if is_blank(terms) && new.orders[1..].iter().any(is_blank) {
                    return Err(Refusal::ListWithoutPrice);
                }
            } else if paid {
                if terms.side == Side::Buy || lots(terms) != 0 {
                    return Err(Refusal::MalformedOrder);
                }
                self.check_unsized(&single)?;
                self.check_part(&single, terms.order_type.has_limit_price())?;
                self.check_trailing(&single, terms.order_type.is_conditional())?;
                self.check_peg(&single, terms.order_type.has_limit_price())?;
            } else {
                self.check_form(&single)?;
            }
        }
        if let [stop, other] = &new.orders[first..] {
            let kinds = matches!(stop.order_type, OrderType::StopLoss | OrderType::StopLossLimit)
                && matches!(
                    other.order_type,
                    OrderType::LimitMaker | OrderType::TakeProfit | OrderType::TakeProfitLimit
                );
            if !kinds || stop.side != other.side || stop.size != other.size {
                return Err(Refusal::MalformedOrder);
            }
            if !are_apart(stop, other, named(other), None) {
                return Err(Refusal::ListPrices);
            }
        }
        Ok(())
    }

    /// What an order of a list needs whose limit price is this, or which runs near that price.
    fn list_need(&self, terms: &OrderTerms, limit: Option<u64>, near: Option<u64>) -> i128 {
        let book = &self.books[terms.symbol.0 as usize];
        match (terms.side, limit, stop_of(terms).or(near)) {
            (Side::Sell, ..) => book.base(lots(terms)),
            (Side::Buy, Some(limit), _) => book.quote(limit, lots(terms)),
            (Side::Buy, None, Some(near)) => book.quote(Self::farthest(terms, near), lots(terms)) * 110 / 100,
            (Side::Buy, None, None) => 0,
        }
    }

    /// What a list must not be, as the book is now; given what is held for its working order and for the others.
    fn check_list_book(&self, new: &NewList, budget: i128, pot: i128) -> Result<Priced, Refusal> {
        let book = &self.books[new.symbol.0 as usize];
        let f = book.market.filters;
        if book.status() != MarketStatus::Trading {
            return Err(Refusal::MarketClosed(book.status()));
        }
        let own: Vec<&Order> = book.orders.iter().filter(|open| open.account == new.account).collect();
        for (at, terms) in new.orders.iter().enumerate() {
            let name = terms.client_order_id;
            if own.iter().any(|open| open.client == name)
                || new.orders[..at].iter().any(|other| other.client_order_id == name)
            {
                return Err(Refusal::DuplicateClientOrderId);
            }
        }
        let lists: Vec<&List> = book.lists.iter().filter(|list| list.account == new.account).collect();
        if lists.iter().any(|list| list.name == new.client_order_id) {
            return Err(Refusal::DuplicateClientOrderId);
        }
        if lists.len() >= f.order_lists_max as usize {
            return Err(Refusal::Filter(Filter::MaxOrderLists));
        }
        if own.len() + new.orders.len() > f.orders_max as usize {
            return Err(Refusal::Filter(Filter::MaxOrders));
        }
        let waiting = own.iter().filter(|open| open.waits && open.stop.is_some()).count();
        let more = new.orders.iter().filter(|terms| terms.waits()).count();
        if more > 0 && waiting + more > f.algo_orders_max as usize {
            return Err(Refusal::Filter(Filter::MaxAlgoOrders));
        }
        let icebergs = own.iter().filter(|open| open.part.is_some()).count();
        let more = new.orders.iter().filter(|terms| terms.iceberg().is_some()).count();
        if more > 0 && icebergs + more > f.special.iceberg_orders_max as usize {
            return Err(Refusal::Filter(Filter::MaxIcebergOrders));
        }
        let works = new.kind != ListKind::Oco;
        let (near, maker) = match &new.orders[..] {
            [working, ..] if works => (self.limit_now(new.account, working, lots(working), budget)?, None),
            [stop, other] => {
                let follows = [stop, other].into_iter().any(|terms| is_blank(terms) && terms.waits());
                let near = if follows { Some(book.last.ok_or(Refusal::Filter(Filter::Notional))?) } else { None };
                (near, self.limit_now(new.account, other, lots(other), pot)?)
            }
            _ => unreachable!("a list has two orders or three"),
        };
        let others = &new.orders[usize::from(works)..];
        let limit = |terms: &OrderTerms| if works || terms.waits() { named(terms) } else { maker };
        let needs: Vec<i128> = others.iter().map(|terms| self.list_need(terms, limit(terms), near)).collect();
        let worth = |(terms, &need)| self.list_worth(terms, self.most_lots(new, terms), (limit(terms), near), need);
        let worth = others.iter().zip(&needs).map(worth).max().unwrap();
        let paid = matches!(new.kind, ListKind::Opo | ListKind::Opoco);
        let needed = if paid { 0 } else { *needs.iter().max().unwrap() };
        if needed > pot {
            return Err(Refusal::InsufficientBalance);
        }
        let at_once = if works { &new.orders[..1] } else { &new.orders[..] };
        if !works && !are_apart(&new.orders[0], &new.orders[1], maker, book.last) {
            return Err(Refusal::ListPrices);
        }
        at_once.iter().try_for_each(|terms| self.check_list_placing(new.account, terms, lots(terms), None))?;
        Ok(Priced { near, needs, pot: needed, worth })
    }

    /// The limit price of an order of so many lots that is placed now, if it has one and can pay for it.
    pub(super) fn limit_now(
        &self,
        account: AccountId,
        terms: &OrderTerms,
        lots: u64,
        held: i128,
    ) -> Result<Option<u64>, Refusal> {
        let Some(peg) = terms.peg().filter(|_| !terms.waits()) else { return Ok(named(terms)) };
        let mut order = self.sketch(&NewOrder { account, terms: terms.clone() });
        order.left = Left::Lots(lots);
        self.peg_price(terms.symbol, &order, peg, held).map(Some)
    }

    /// Whether so much of an order of a list can be placed now; given the price at which its working order was filled,
    /// if that lets it be placed.
    pub(super) fn check_list_placing(
        &self,
        account: AccountId,
        terms: &OrderTerms,
        lots: u64,
        filled_at: Option<u64>,
    ) -> Result<(), Refusal> {
        let book = &self.books[terms.symbol.0 as usize];
        let new = NewOrder { account, terms: terms.clone() };
        let blank = named(terms).is_none() && stop_of(terms).is_none();
        if terms.order_type == OrderType::Market || (blank && terms.waits()) {
            book.check_market_worth(self.now, lots)?;
        }
        self.check_bands(&new)?;
        let order = self.sketch(&new);
        if let Some(stop) = stop_of(terms) {
            let (low, high) = book.reached.map_or((None, None), |(low, high)| (Some(low), Some(high)));
            let seen = match filled_at {
                Some(price) => vec![price],
                None => [book.last, low, high].into_iter().flatten().collect(),
            };
            let reached = seen.into_iter().any(|price| if order.rises() { price >= stop } else { price <= stop });
            return if reached { Err(Refusal::WouldTrigger) } else { Ok(()) };
        }
        let best = book.prices(other(order.side)).first().copied();
        let takes = |best| order.peg.is_none() && order.reaches(best);
        if order.kind == OrderType::LimitMaker && best.is_some_and(takes) {
            return Err(Refusal::WouldTake);
        }
        Ok(())
    }

    /// A list as one of its account's group.
    fn list_in_group(&self, new: &NewList) -> NewList {
        let account = new.account;
        let grouped = |terms: &OrderTerms| self.in_group(&NewOrder { account, terms: terms.clone() }).terms;
        NewList { orders: new.orders.iter().map(grouped).collect(), ..new.clone() }
    }

    pub(super) fn place_list(&mut self, new: &NewList) -> Result<Answer, Refusal> {
        let new = &self.list_in_group(new);
        let (symbol, account) = (new.symbol, new.account);
        if symbol.0 as usize >= self.books.len() {
            return Err(Refusal::UnknownSymbol);
        }
        self.count_open(account, symbol, new.orders.iter().any(|terms| terms.side == Side::Buy));
        self.check_list_form(new)?;
        self.check_account_of_list(new)?;
        if !self.accounts.contains(&account) {
            return Err(Refusal::UnknownAccount);
        }
        let works = new.kind != ListKind::Oco;
        let (working, others) = match works {
            false => (None, &new.orders[..]),
            true => (Some(&new.orders[0]), &new.orders[1..]),
        };
        let near = working.and_then(named);
        let paid = matches!(new.kind, ListKind::Opo | ListKind::Opoco);
        let most = |near| others.iter().map(|terms| self.list_need(terms, named(terms), near)).max().unwrap();
        let mut pot = if paid { 0 } else { most(near) };
        let pays = |side| self.books[symbol.0 as usize].pays(side);
        let asset = pays(others[0].side);
        // What is not known is at most all that there is.
        let highest = Some(self.books[symbol.0 as usize].highest);
        let first_need = working.map(|terms| match is_blank(terms) {
            true => {
                let rest = if others[0].side == Side::Buy { pot } else { 0 };
                self.list_need(terms, highest, None).min((self.free(account, pays(Side::Buy)) - rest).max(0))
            }
            false => self.list_need(terms, near, None),
        });
        if near.is_none() && others.iter().any(is_blank) {
            pot = pot.max(most(highest).min(self.free(account, asset)));
        }
        let asked = working.map(|terms| (pays(terms.side), first_need.unwrap()));
        let costs: Vec<_> = asked.into_iter().chain([(asset, pot)]).collect();
        if !self.are_free(account, &costs) {
            return Err(Refusal::InsufficientBalance);
        }
        // Before anything else changes, what the list holds is taken.
        for &(asset, _) in &costs {
            self.post(account, asset, 0, 0);
        }
        self.rate(account);
        let fees = self.reserves_for_list(new, &costs);
        self.pass_time(symbol);
        let priced = self.check_list_book(new, first_need.unwrap_or_default(), pot)?;
        for (asset, cost) in asked.into_iter().chain([(asset, priced.pot)]) {
            self.post(account, asset, -cost, cost);
        }
        let (id, mut orders) = self.number_list(new, first_need, &priced, asset);
        self.hold_reserves_of_list(&mut orders, works, fees, priced.worth);
        // Those that are pending must be there before the working order, which may be filled at once.
        orders.sort_by_key(|order| !order.pending);
        self.steps = 0;
        let book = &self.books[symbol.0 as usize];
        let others_first = book.reached.is_some() || !book.unseen.is_empty();
        let mut prices = Vec::new();
        for order in orders {
            self.enter(symbol, order, &mut prices);
        }
        self.note_prices(symbol, &prices);
        self.reach(symbol, &prices);
        if others_first {
            self.forget_reached(symbol);
        } else {
            self.trigger(symbol, self.bounds.triggers);
        }
        self.note_work(symbol);
        Ok(Answer::ListPlaced { symbol, list: id })
    }

    /// Whether an account has so much of these assets, all together.
    fn are_free(&self, account: AccountId, costs: &[(AssetId, i128)]) -> bool {
        let mut spare = std::collections::BTreeMap::new();
        costs.iter().all(|&(asset, cost)| {
            let left = spare.entry(asset).or_insert_with(|| self.free(account, asset));
            *left -= cost;
            *left >= 0
        })
    }

    /// Gives a list and its orders their numbers. The orders are in no book yet.
    fn number_list(
        &mut self,
        new: &NewList,
        first_need: Option<i128>,
        priced: &Priced,
        asset: AssetId,
    ) -> (OrderListId, Vec<Order>) {
        let needs: Vec<i128> = first_need.into_iter().chain(priced.needs.iter().copied()).collect();
        let (symbol, account, works) = (new.symbol, new.account, new.kind != ListKind::Oco);
        let first = self.books[symbol.0 as usize].placed + 1;
        let id = OrderListId::of(symbol, OrderId(first)).unwrap();
        let mut orders = Vec::new();
        for (at, terms) in new.orders.iter().enumerate() {
            let pending = works && at > 0;
            let mut order = self.sketch(&NewOrder { account, terms: terms.clone() });
            order.id = first + at as u64;
            order.list = Some(id);
            (order.pending, order.waits) = (pending, pending || order.waits);
            order.held = needs[at];
            if at == 0 && works {
                self.mark_counted(&mut order, symbol);
            }
            let mut terms = terms.clone();
            let mut asked = terms.instructions.take().map(|asked| *asked).unwrap_or_default();
            asked.list = Some(Membership { list: id, pending });
            terms.instructions = Some(Box::new(asked));
            self.events.push(Event::OrderPlaced(OrderPlaced { order: OrderId(order.id), account, terms }));
            orders.push(order);
        }
        self.books[symbol.0 as usize].placed += orders.len() as u64;
        self.events.push(Event::ListPlaced(Box::new(ListPlaced {
            symbol,
            list: id,
            account,
            kind: new.kind,
            client_order_id: new.client_order_id,
            orders: orders.iter().map(|order| OrderId(order.id)).collect(),
        })));
        let others = &orders[usize::from(works)..];
        let (counts, coming) = self.counts_of_list(symbol, others);
        let numbers = others.iter().map(|order| order.id);
        self.books[symbol.0 as usize].lists.push(List {
            id,
            account,
            name: new.client_order_id,
            kind: new.kind,
            working: works.then_some(first),
            others: numbers.collect(),
            placed: !works,
            pot: priced.pot,
            pays_with: asset,
            near: priced.near,
            counts,
            coming,
        });
        (id, orders)
    }

    pub(super) fn cancel_list(&mut self, request: &CancelList) -> Result<Answer, Refusal> {
        self.known(request.account, request.symbol)?;
        if self.books[request.symbol.0 as usize].is_matching() {
            return Err(Refusal::AuctionMatching);
        }
        let meant = |list: &&List| {
            let named = match request.target {
                ListTarget::List(id) => list.id == id,
                ListTarget::Client(name) => list.name == name,
                ListTarget::Both(id, name) => list.id == id && list.name == name,
            };
            named && list.account == request.account
        };
        let lists = &self.books[request.symbol.0 as usize].lists;
        let id = lists.iter().find(meant).ok_or(Refusal::UnknownOrder)?.id;
        self.end_list(request.symbol, id, CloseReason::Canceled { cancel_id: request.cancel_id });
        self.forget_reached(request.symbol);
        Ok(Answer::ListCanceled { symbol: request.symbol, list: id })
    }

    /// Whether an order has no quantity before the working order of its list is filled.
    pub(super) fn is_unpaid(&self, symbol: SymbolId, order: &Order) -> bool {
        let list = self.books[symbol.0 as usize].lists.iter().find(|list| Some(list.id) == order.list);
        list.is_some_and(|list| {
            let paid = matches!(list.kind, ListKind::Opo | ListKind::Opoco);
            paid && !list.placed && list.working != Some(order.id)
        })
    }

    /// The orders for which funds are held together with an order, and the price near which one of them would run at
    /// market; none, if what is held for the order is for it alone.
    pub(super) fn held_with(&self, symbol: SymbolId, order: &Order) -> (Vec<u64>, Option<u64>) {
        let list = self.books[symbol.0 as usize].lists.iter().find(|list| Some(list.id) == order.list);
        let together = |list: &&List| list.working != Some(order.id) && (!list.placed || list.others.len() > 1);
        list.filter(together).map_or((Vec::new(), None), |list| (list.others.clone(), list.near))
    }

    /// What is held for a list is what one of its orders needs.
    pub(super) fn hold_for_list(&mut self, symbol: SymbolId, id: OrderListId) {
        let list = self.list(symbol, id).clone();
        let book = &mut self.books[symbol.0 as usize];
        let pot = list.others.iter().map(|&order| book.order(order).held).max().unwrap();
        self.post(list.account, list.pays_with, list.pot - pot, pot - list.pot);
        self.list(symbol, id).pot = pot;
    }

    /// How many orders end with this one if it is cancelled.
    pub(super) fn ending_with(&self, symbol: SymbolId, id: u64) -> u32 {
        let lists = &self.books[symbol.0 as usize].lists;
        let list = lists.iter().find(|list| list.working == Some(id) || list.others.contains(&id));
        list.map_or(1, |list| list.others.len() as u32 + u32::from(list.working.is_some()))
    }

    /// An order of a list has ended: so do the others, or they are placed.
    pub(super) fn ended_in_list(&mut self, symbol: SymbolId, order: &Order, reason: CloseReason) {
        let id = order.list.unwrap();
        let list = self.list(symbol, id);
        let was_working = list.working == Some(order.id);
        if was_working {
            list.working = None;
        }
        list.others.retain(|&other| other != order.id);
        let others = match reason {
            CloseReason::Filled if was_working => {
                let book = &mut self.books[symbol.0 as usize];
                return book.due.push((id, book.last.unwrap()));
            }
            CloseReason::Canceled { .. } => reason,
            CloseReason::ByVenue if self.books[symbol.0 as usize].market.status == MarketStatus::Delisted => reason,
            _ if was_working => CloseReason::WorkingEnded,
            _ => CloseReason::OcoTrigger,
        };
        self.end_list(symbol, id, others);
    }

    /// What still is open of a list ends, and what is held for it is free.
    fn end_list(&mut self, symbol: SymbolId, id: OrderListId, reason: CloseReason) {
        let list = self.list(symbol, id).clone();
        let all: Vec<(u64, CloseReason)> =
            list.working.into_iter().chain(list.others).map(|order| (order, reason)).collect();
        self.close_list(symbol, id, &all);
    }

    pub(super) fn close_list(&mut self, symbol: SymbolId, id: OrderListId, orders: &[(u64, CloseReason)]) {
        let at = symbol.0 as usize;
        let mut freed = false;
        for &(order, reason) in orders {
            let order = self.close_other(symbol, order, reason);
            let list = self.list(symbol, id);
            if list.working == Some(order.id) {
                let asset = self.books[at].pays(order.side);
                self.post(order.account, asset, order.held, -order.held);
                self.free_reserve(&order);
            } else if !std::mem::replace(&mut freed, true) {
                // The others have theirs together.
                self.free_reserve(&order);
            }
        }
        let position = self.books[at].lists.iter().position(|list| list.id == id).unwrap();
        let list = self.books[at].lists.remove(position);
        self.books[at].due.retain(|&(due, _)| due != id);
        if list.pot != 0 {
            let asset = list.pays_with;
            self.post(list.account, asset, list.pot, -list.pot);
        }
        let (account, status) = (list.account, ListStatus::AllDone);
        self.events.push(Event::ListChanged { symbol, list: id, account, status });
    }

    /// Takes an order out of the book because of another one.
    fn close_other(&mut self, symbol: SymbolId, id: u64, reason: CloseReason) -> Order {
        if !matches!(reason, CloseReason::Canceled { .. }) {
            self.steps += 1;
        }
        let order = self.books[symbol.0 as usize].take_out(id);
        let account = order.account;
        self.events.push(Event::OrderClosed(OrderClosed { symbol, order: OrderId(id), account, reason }));
        if !order.waits {
            self.publish_depth(symbol, order.side, order.limit.unwrap());
        }
        order
    }

    /// An order of a list has paid so much; or has received, if it pays for the others; `base` of the base asset has
    /// moved. Whether what it received is held.
    pub(super) fn paid_in_list(
        &mut self,
        symbol: SymbolId,
        order: &Order,
        paid: i128,
        received: i128,
        base: i128,
    ) -> bool {
        let Some(id) = order.list else { return false };
        let list = self.list(symbol, id);
        if list.working != Some(order.id) {
            list.pot -= paid;
            if order.side == Side::Buy {
                list.coming = (list.coming - base).max(0);
            }
            return false;
        }
        let keeps = matches!(list.kind, ListKind::Opo | ListKind::Opoco);
        if keeps {
            list.pot += received;
        }
        keeps
    }

    /// So much less is held for an order, which is the last one of its list but for the working one.
    pub(super) fn freed_in_list(&mut self, symbol: SymbolId, order: &Order, freed: i128) {
        let Some(id) = order.list else { return };
        let list = self.list(symbol, id);
        if list.working != Some(order.id) {
            list.pot -= freed;
        }
    }

    /// An order has traded for the first time or was triggered: of a pair, the other ends.
    pub(super) fn runs_in_list(&mut self, symbol: SymbolId, order: &mut Order) {
        let Some(id) = order.list else { return };
        let list = self.list(symbol, id);
        if !list.placed || list.others.len() < 2 {
            return;
        }
        let (account, excess) = (list.account, list.pot - order.held);
        list.pot = order.held;
        let other = *list.others.iter().find(|&&other| other != order.id).unwrap();
        list.others.retain(|&open| open == order.id);
        self.close_other(symbol, other, CloseReason::OcoTrigger);
        let asset = self.books[symbol.0 as usize].pays(order.side);
        if excess != 0 {
            self.post(account, asset, excess, -excess);
        }
        self.fit_reserve_of_running(symbol, order);
        self.events.push(Event::ListChanged { symbol, list: id, account, status: ListStatus::Executing });
    }
}
