//! A naive exchange: lists that are searched from end to end, sums that are computed when needed. It shares only types
//! with the engine, and produces every event that the engine must produce, in the same order.
//!
//! It panics when it is misused or contradicts itself.

#![allow(clippy::unwrap_used, reason = "a model that is wrong has nothing to go on with")]

mod amend;
mod auction;
mod countdowns;
mod deferred;
mod discount;
mod fees;
mod fill_or_kill;
mod filters;
mod form;
mod frozen;
mod list_fees;
mod lists;
mod matching;
mod pegs;
mod pending;
mod prevention;
mod reference;
mod replace;
mod session;
mod trailing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crossbook_engine::WorkBudget;
use crossbook_protocol::Transfer;
use crossbook_protocol::command::{Body, ChangeMarket, TransferRequest};
use crossbook_protocol::countdown::Countdown;
use crossbook_protocol::event::{CloseReason, DepthChanged, OrderClosed};
use crossbook_protocol::operator::{Acted, Note};
use crossbook_protocol::order::{CancelAll, CancelOrder, OrderTerms, Target};
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::{Answer, Command, Event, Refusal};
use crossbook_types::{
    AccountFees, AccountId, Amount, AssetId, CancelRestriction, ClientOrderId, ExchangeFilters, FeeRate, Fees, Market,
    MarketStatus, OrderId, OrderListId, OrderType, Peg, Price, Quantity, SelfTradePrevention, Side, SymbolId,
    TimeInForce, Timestamp, TradeGroupId, TransferId,
};
use deferred::Canceling;
use discount::{Discount, Reserve};
use fees::Tiers;
pub use lists::List;
use session::Halts;

/// An open order.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its number in its market.
    pub id: u64,
    /// The account that it belongs to.
    pub account: AccountId,
    /// The client's name for it.
    pub client: ClientOrderId,
    side: Side,
    kind: OrderType,
    tif: TimeInForce,
    mode: SelfTradePrevention,
    group: Option<TradeGroupId>,
    fees: Fees,
    limit: Option<u64>,
    stop: Option<u64>,
    /// Waits for its stop price, or is pending.
    waits: bool,
    /// Is pending in its list.
    pending: bool,
    /// The list that it belongs to.
    list: Option<OrderListId>,
    /// What it asked for.
    terms: OrderTerms,
    /// What it was placed for.
    size: Left,
    /// Lots left, or quote units left.
    left: Left,
    /// The most lots that it may still trade, of an order by worth.
    most: u64,
    /// How often it was amended.
    amends: u32,
    /// What it is for since then, as who amended it says.
    told: u64,
    /// Whether any of it has traded.
    traded: bool,
    /// What is still held for it.
    held: i128,
    /// What it was charged in fees.
    charged: i128,
    /// The exact fee on all that it received, in hundred-millionths of the smallest unit.
    exact_fee: i128,
    /// When it took its place; earlier is first.
    since: u64,
    /// Of an iceberg order: how much shows at a time, and how much of that is there.
    part: Option<u64>,
    visible: u64,
    /// Whether it counts for the filters of the venue, and for what its account may come to have.
    counted: bool,
    incoming: bool,
    /// Lots that it was lowered by and still counts for, if what is held for it does not say what it would bring.
    kept: Option<u64>,
    /// Of a trailing stop: its delta; whether it trails, or is about to; and the farthest price that it has seen.
    delta: Option<u64>,
    trails: bool,
    extreme: Option<u64>,
    /// Of a pegged order: where its price comes from.
    peg: Option<Peg>,
    /// What is held for its fees.
    reserve: Option<Reserve>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Left {
    Lots(u64),
    Worth(i128),
}

#[derive(Clone, Debug)]
struct Book {
    market: Market,
    /// Base units in a lot; quote units in a lot at one tick.
    units: (i128, i128),
    /// All open orders, in no order.
    orders: Vec<Order>,
    placed: u64,
    traded: u64,
    prevented: u64,
    updates: u64,
    clock: u64,
    last: Option<u64>,
    /// The highest price that the filters ever allowed.
    highest: u64,
    /// The lowest and the highest price of trades for which waiting orders are yet to be triggered.
    reached: Option<(u64, u64)>,
    canceling: Vec<Canceling>,
    /// Every trade since filters look at an average price: time, price, lots.
    history: Vec<(u64, u64, u64)>,
    lists: Vec<List>,
    /// The lists whose working order was filled, and whose other orders are to be placed.
    due: Vec<(OrderListId, u64)>,
    /// What those that trail the price are yet to see.
    unseen: VecDeque<trailing::Step>,
    halts: Halts,
    /// Delisted, and not all orders have ended.
    ending: bool,
}

/// The exchange. It knows the markets and accounts that it was made with, and no changes of the registry but those of a
/// market's rules.
#[derive(Clone, Debug)]
pub struct Model {
    books: Vec<Book>,
    /// Free and held.
    balances: BTreeMap<(AccountId, AssetId), (i128, i128)>,
    accounts: BTreeSet<AccountId>,
    groups: BTreeMap<AccountId, TradeGroupId>,
    frozen: BTreeSet<AccountId>,
    transfers: BTreeMap<(AccountId, TransferId), Transfer>,
    commands: BTreeSet<(u64, u64)>,
    /// Balances that the present command touched, with what they were before.
    touched: Vec<((AccountId, AssetId), (i128, i128))>,
    events: Vec<Event>,
    bounds: WorkBudget,
    /// Of the present command.
    steps: u32,
    /// The markets that have something to go on with.
    deferred: VecDeque<SymbolId>,
    exchange_filters: ExchangeFilters,
    account_fees: BTreeMap<AccountId, AccountFees>,
    tiers: Tiers,
    /// Those that run, in no order.
    countdowns: Vec<Countdown>,
    discount: Discount,
    /// That of the present command.
    time: Timestamp,
    now: u64,
}

fn other(side: Side) -> Side {
    if side == Side::Buy { Side::Sell } else { Side::Buy }
}

impl Book {
    /// A market in which nothing has happened.
    fn new(market: Market, units: (i128, i128)) -> Self {
        Self {
            highest: market.filters.price_max.0,
            market,
            units,
            orders: Vec::new(),
            placed: 0,
            traded: 0,
            prevented: 0,
            updates: 0,
            clock: 0,
            last: None,
            reached: None,
            canceling: Vec::new(),
            history: Vec::new(),
            lists: Vec::new(),
            due: Vec::new(),
            unseen: VecDeque::new(),
            halts: Halts::default(),
            ending: false,
        }
    }

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
        self.queue(side, price).iter().map(Order::shown).sum()
    }

    /// All that is to be had at a price, with what is hidden.
    fn available(&self, side: Side, price: u64) -> u64 {
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

    /// What others see of its lots.
    fn shown(&self) -> u64 {
        if self.part.is_some() { self.visible } else { self.lots() }
    }

    /// What it is charged for receiving so much more: what its exact fee comes to then, rounded up, less what it was
    /// charged before.
    fn charge(&mut self, rate: FeeRate, received: i128) -> i128 {
        self.exact_fee += received * i128::from(rate.units());
        let whole = self.exact_fee / 100_000_000 + i128::from(self.exact_fee % 100_000_000 != 0);
        let fee = whole - self.charged;
        self.charged = whole;
        fee
    }

    /// Whether it is of the same account as another one, or of the same group.
    fn is_of(&self, account: AccountId, group: Option<TradeGroupId>) -> bool {
        self.account == account || (group.is_some() && self.group == group)
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

    /// Who waits for any price waits for a rise.
    fn rises(&self) -> bool {
        self.stop == Some(0)
            || matches!(
                (self.kind, self.side),
                (OrderType::StopLoss | OrderType::StopLossLimit, Side::Buy)
                    | (OrderType::TakeProfit | OrderType::TakeProfitLimit, Side::Sell)
            )
    }
}

impl Model {
    /// One with these markets and accounts, in which nothing has happened. With each market: the base asset's smallest
    /// units in a lot, and the quote asset's in a lot at a price of one tick.
    #[must_use]
    pub fn new(markets: Vec<(Market, (i128, i128))>, accounts: impl IntoIterator<Item = AccountId>) -> Self {
        Self {
            books: markets.into_iter().map(|(market, units)| Book::new(market, units)).collect(),
            balances: BTreeMap::new(),
            accounts: accounts.into_iter().collect(),
            groups: BTreeMap::new(),
            frozen: BTreeSet::new(),
            transfers: BTreeMap::new(),
            commands: BTreeSet::new(),
            touched: Vec::new(),
            events: Vec::new(),
            bounds: WorkBudget::RULES,
            steps: 0,
            deferred: VecDeque::new(),
            exchange_filters: ExchangeFilters::default(),
            account_fees: BTreeMap::new(),
            tiers: Tiers::default(),
            countdowns: Vec::new(),
            discount: Discount::default(),
            now: 0,
            time: Timestamp(0),
        }
    }

    /// One more market is listed.
    pub fn list_market(&mut self, market: Market, units: (i128, i128)) {
        self.books.push(Book::new(market, units));
    }

    /// The same with other bounds of what one command does.
    #[must_use]
    pub fn with_work(self, bounds: WorkBudget) -> Self {
        Self { bounds, ..self }
    }

    /// All open orders of a market, in no order.
    ///
    /// # Panics
    /// When there is no such market.
    #[must_use]
    pub fn open_orders(&self, symbol: SymbolId) -> &[Order] {
        &self.books[symbol.0 as usize].orders
    }

    /// The events of a command.
    ///
    /// # Panics
    /// When the command changes the registry in a way that the model does not know.
    pub fn apply(&mut self, command: &Command) -> Vec<Event> {
        if !self.commands.insert((command.source.0, command.number.0)) {
            return Vec::new();
        }
        self.now = command.time.0;
        self.time = command.time;
        let (body, note) = match &command.body {
            Body::Operated(operated) => (&operated.body, Some(&operated.note)),
            body => (body, None),
        };
        let answer = match body {
            body if self.is_of_frozen(body) => Err(Refusal::AccountFrozen),
            Body::Place(order) => {
                let placed = self.place(order);
                self.note_work_if_there(order.terms.symbol);
                placed
            }
            Body::PlaceList(list) => {
                let placed = self.place_list(list);
                self.note_work_if_there(list.symbol);
                placed
            }
            Body::CancelList(request) => self.cancel_list(request),
            Body::Cancel(request) => self.cancel(request),
            Body::Amend(request) => self.amend(request),
            Body::Replace(request) => {
                let replaced = self.replace(request);
                self.note_work_if_there(request.order.terms.symbol);
                replaced
            }
            Body::Session(request) => self.session(request),
            &Body::DelistMarket { symbol } => self.delist(symbol),
            Body::CancelAll(request) => {
                if self.begin_canceling(request, command) {
                    self.tell_note(note, None);
                    return self.finish();
                }
                self.cancel_all(request)
            }
            Body::Peer(PeerMessage::Continue) => {
                self.go_on();
                return self.finish();
            }
            Body::Transfer(request) => self.transfer(request, command.time),
            Body::SetTradeGroup(request) => self.set_trade_group(request),
            Body::SetCountdown(request) => self.set_countdown(request),
            Body::EndCountdown(countdown) => self.end_countdown(countdown),
            Body::ChangeMarket(request) => self.change_market(request),
            &Body::SetExchangeFilters(filters) => {
                self.exchange_filters = filters;
                self.events.push(Event::ExchangeFiltersChanged(filters));
                Ok(Answer::ExchangeFiltersSet)
            }
            Body::SetAccountFees(request) => self.set_fees(request),
            Body::SetFeeTiers(tiers) => self.set_tiers(tiers),
            Body::SetFeeDiscount(discount) => self.set_discount(discount),
            &Body::SetDiscountUse { account, on } => self.use_discount(account, on),
            &Body::SetFrozen { account, on } => self.set_frozen(account, on),
            body => panic!("the model knows no {body:?}"),
        };
        self.tell_note(note, answer.as_ref().err().copied());
        let answer = answer.unwrap_or_else(Answer::Refused);
        self.events.push(Event::Answered { source: command.source, number: command.number, answer });
        self.finish()
    }

    /// Tells who has asked for the present command, if that was an operator.
    fn tell_note(&mut self, note: Option<&Note>, refused: Option<Refusal>) {
        if let Some(note) = note {
            self.events.push(Event::OperatorActed(Box::new(Acted { note: note.clone(), refused })));
        }
    }

    fn change_market(&mut self, request: &ChangeMarket) -> Result<Answer, Refusal> {
        let listed = |book: &&Book| book.market.status != MarketStatus::Delisted;
        let book = self.books.get(request.symbol.0 as usize).filter(listed);
        let old = book.ok_or(Refusal::UnknownSymbol)?.market;
        let filters = request.filters.unwrap_or(old.filters);
        let fees = request.fees.unwrap_or(old.fees);
        let self_trade = request.self_trade.unwrap_or(old.self_trade);
        let market = old.changed(filters, fees, request.status.unwrap_or(old.status)).map_err(Refusal::Market)?;
        let market = market.with_self_trade(self_trade);
        if request.filters.is_some() || request.fees.is_some() {
            self.check_fees(&market, self.tiers()).map_err(Refusal::Market)?;
        }
        let book = &mut self.books[request.symbol.0 as usize];
        book.market = market;
        book.highest = book.highest.max(book.market.filters.price_max.0);
        if book.market.filters.relative.average_minutes == 0 {
            book.history.clear();
        }
        self.events.push(Event::MarketChanged(Box::new(book.market)));
        self.note_work(request.symbol);
        Ok(Answer::MarketChanged(request.symbol))
    }

    /// The events of the present command, at last those of the balances that it changed.
    fn finish(&mut self) -> Vec<Event> {
        self.tell_tiers();
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

    /// The open order that an account means.
    fn meant(&self, account: AccountId, symbol: SymbolId, target: Target) -> Option<&Order> {
        let meant = |order: &&Order| {
            let named = match target {
                Target::Order(id) => order.id == id.0,
                Target::Client(name) => order.client == name,
                Target::Both(id, name) => order.id == id.0 && order.client == name,
            };
            named && order.account == account
        };
        self.books[symbol.0 as usize].orders.iter().find(meant)
    }

    fn cancel(&mut self, request: &CancelOrder) -> Result<Answer, Refusal> {
        self.known(request.account, request.symbol)?;
        if self.books[request.symbol.0 as usize].is_matching() {
            return Err(Refusal::AuctionMatching);
        }
        let order = self.meant(request.account, request.symbol, request.target).ok_or(Refusal::UnknownOrder)?;
        let (id, new) = (order.id, !order.traded);
        match request.restriction {
            Some(CancelRestriction::OnlyNew) if !new => return Err(Refusal::CancelRestricted),
            Some(CancelRestriction::OnlyPartiallyFilled) if new => return Err(Refusal::CancelRestricted),
            _ => {}
        }
        self.cancel_one(request.symbol, id, request.cancel_id);
        self.forget_reached(request.symbol);
        Ok(Answer::Canceled { symbol: request.symbol, order: OrderId(id) })
    }

    fn cancel_all(&mut self, request: &CancelAll) -> Result<Answer, Refusal> {
        self.known(request.account, request.symbol)?;
        if self.books[request.symbol.0 as usize].is_matching() {
            return Err(Refusal::AuctionMatching);
        }
        let orders = &self.books[request.symbol.0 as usize].orders;
        let own = orders.iter().filter(|order| order.account == request.account);
        let mut ids: Vec<u64> = own.map(|order| order.id).collect();
        ids.sort_unstable();
        if ids.is_empty() {
            return Err(Refusal::UnknownOrder);
        }
        for &id in &ids {
            // Those of a list end together.
            if self.books[request.symbol.0 as usize].orders.iter().all(|order| order.id != id) {
                continue;
            }
            self.cancel_one(request.symbol, id, request.cancel_id);
        }
        self.forget_reached(request.symbol);
        Ok(Answer::CanceledAll { symbol: request.symbol, count: ids.len() as u32 })
    }

    fn cancel_one(&mut self, symbol: SymbolId, id: u64, cancel_id: ClientOrderId) {
        let order = self.books[symbol.0 as usize].take_out(id);
        self.end(symbol, &order, CloseReason::Canceled { cancel_id });
        if !order.waits {
            self.publish_depth(symbol, order.side, order.limit.unwrap());
        }
    }

    /// An order that is out of the book ends: what it still holds is free again.
    fn end(&mut self, symbol: SymbolId, order: &Order, reason: CloseReason) {
        let asset = self.books[symbol.0 as usize].pays(order.side);
        let of_pair = order.list.is_some_and(|id| {
            let list = self.books[symbol.0 as usize].lists.iter().find(|list| list.id == id);
            list.unwrap().working != Some(order.id)
        });
        if order.held != 0 && !of_pair {
            self.post(order.account, asset, order.held, -order.held);
        }
        if !self.leave_to_pair(symbol, order) {
            self.free_reserve(order);
        }
        let (id, account) = (OrderId(order.id), order.account);
        self.events.push(Event::OrderClosed(OrderClosed { symbol, order: id, account, reason }));
        if order.list.is_some() {
            self.ended_in_list(symbol, order, reason);
        }
    }

    fn publish_depth(&mut self, symbol: SymbolId, side: Side, price: u64) {
        let book = &mut self.books[symbol.0 as usize];
        book.updates += 1;
        let (update, quantity) = (book.updates, Quantity(book.resting(side, price)));
        self.events.push(Event::DepthChanged(DepthChanged { symbol, side, price: Price(price), quantity, update }));
    }
}
