//! A venue for tests: assets, two markets that share one of them, funded accounts, and short constructors for orders.
//! Every command is audited, and folded into a [`Mirror`] that knows the partition only from its events.

pub mod countdowns;
pub mod mirror;
pub mod steps;

use crossbook_engine::import::{MarketPast, Past};
use crossbook_engine::{Partition, WorkBudget};
use crossbook_oracle::sample::{asset, btcusdt, decimal};
use crossbook_protocol::command::{Body, ChangeMarket, ListAsset, ListMarket, OpenAccount, TransferRequest};
use crossbook_protocol::event::{CloseReason, OrderImported};
use crossbook_protocol::order::{CancelAll, CancelOrder, NewOrder, OrderTerms, Size, Target};
use crossbook_protocol::order_list::ListImported;
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::{Answer, Command, Event, Events, Refusal, Routing, Rules};
use crossbook_types::{
    AccountId, Amount, Asset, AssetId, CancelRestriction, ClientOrderId, Decimal, FeeRate, Fees, Filters, MarketStatus,
    OptionalPrice, OrderId, OrderListId, OrderType, PartitionId, Price, Quantity, RequestNumber, SelfTradePrevention,
    Side, SourceId, SymbolId, SymbolName, TimeInForce, Timestamp, TransferId, market,
};
use mirror::Mirror;

pub const BTC: AssetId = AssetId(0);
pub const USDT: AssetId = AssetId(1);
pub const ETH: AssetId = AssetId(2);
/// Tick 0.01, lot 0.00001.
pub const BTCUSDT: SymbolId = SymbolId(0);
/// Tick 0.001, lot 0.001: pays in what the other trades.
pub const ETHBTC: SymbolId = SymbolId(1);
/// Smallest units of BTC in a lot of BTCUSDT.
pub const LOT: i128 = 1_000;
/// Smallest units of USDT in a lot of BTCUSDT at a price of one tick.
pub const TICK_LOT: i128 = 10;

pub const GATEWAY: SourceId = SourceId(1 << 20);

pub fn name(text: &str) -> ClientOrderId {
    ClientOrderId::new_checked(text).unwrap()
}

/// Nothing is out of bounds.
pub fn open_filters() -> Filters {
    btcusdt().filters
}

pub fn fees(maker: &str, taker: &str) -> Fees {
    let rate = |text| FeeRate::from_decimal(Decimal::parse(text).unwrap()).unwrap();
    Fees { maker: rate(maker), taker: rate(taker) }
}

/// The commands that make the venue's assets and markets.
pub fn listings(filters: Filters, fees: Fees) -> Vec<Body> {
    let assets = [(BTC, "BTC"), (USDT, "USDT"), (ETH, "ETH")].map(|(id, name)| asset(id.0, name));
    let list = |asset: Asset| Body::ListAsset(ListAsset { name: asset.name, decimals: asset.decimals });
    let mut bodies: Vec<_> = assets.into_iter().map(list).collect();
    for (symbol, base, quote, tick, step) in
        [("BTCUSDT", BTC, USDT, "0.01", "0.00001"), ("ETHBTC", ETH, BTC, "0.001", "0.001")]
    {
        let description = market::Description {
            symbol: SymbolName::new_checked(symbol).unwrap(),
            base: assets[base.0 as usize],
            quote: assets[quote.0 as usize],
            tick_size: decimal(tick),
            step_size: decimal(step),
            filters,
            fees,
            ..btcusdt()
        };
        bodies.push(Body::ListMarket(Box::new(ListMarket { description })));
    }
    bodies
}

/// A limit order in BTCUSDT, good till cancelled; the methods of [`Order`] make it something else.
pub fn limit(account: AccountId, side: Side, price: u64, lots: u64) -> NewOrder {
    NewOrder {
        account,
        terms: OrderTerms {
            symbol: BTCUSDT,
            client_order_id: name("unnamed"),
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Some(Price(price)),
            size: Size::Base(Quantity(lots)),
            stop_price: OptionalPrice::NONE,
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        },
    }
}

pub fn buy(account: AccountId, price: u64, lots: u64) -> NewOrder {
    limit(account, Side::Buy, price, lots)
}

pub fn sell(account: AccountId, price: u64, lots: u64) -> NewOrder {
    limit(account, Side::Sell, price, lots)
}

pub fn market(account: AccountId, side: Side, size: Size) -> NewOrder {
    limit(account, side, 1, 1).with(|terms| {
        terms.order_type = OrderType::Market;
        terms.price = None;
        terms.size = size;
    })
}

pub fn lots(lots: u64) -> Size {
    Size::Base(Quantity(lots))
}

/// So many ticks x lots of BTCUSDT, as a quote amount.
pub fn worth(tick_lots: i128) -> Size {
    Size::Quote(Amount(tick_lots * TICK_LOT))
}

pub fn stop(account: AccountId, side: Side, order_type: OrderType, stop: u64, lots: u64) -> NewOrder {
    limit(account, side, 1, lots).with(|terms| {
        terms.order_type = order_type;
        terms.price = None;
        terms.stop_price = Price(stop).into();
    })
}

/// What makes an order another.
pub trait Order {
    fn with(self, change: impl FnOnce(&mut OrderTerms)) -> NewOrder;
    fn named(self, text: &str) -> NewOrder;
    fn within(self, time_in_force: TimeInForce) -> NewOrder;
    fn preventing(self, mode: SelfTradePrevention) -> NewOrder;
    fn maker_only(self) -> NewOrder;
    fn at_limit(self, price: u64) -> NewOrder;
}

impl Order for NewOrder {
    fn with(mut self, change: impl FnOnce(&mut OrderTerms)) -> NewOrder {
        change(&mut self.terms);
        self
    }
    fn named(self, text: &str) -> NewOrder {
        self.with(|terms| terms.client_order_id = name(text))
    }
    fn within(self, time_in_force: TimeInForce) -> NewOrder {
        self.with(|terms| terms.time_in_force = time_in_force)
    }
    fn preventing(self, self_trade_prevention: SelfTradePrevention) -> NewOrder {
        self.with(|terms| terms.self_trade_prevention = self_trade_prevention)
    }
    fn maker_only(self) -> NewOrder {
        self.with(|terms| terms.order_type = OrderType::LimitMaker)
    }
    fn at_limit(self, price: u64) -> NewOrder {
        self.with(|terms| terms.price = Some(Price(price)))
    }
}

/// A venue of one partition.
pub struct Venue {
    pub partition: Partition,
    pub mirror: Mirror,
    /// Under which commands are applied.
    pub rules: Option<Rules>,
    /// The time of the command before the first; each is a microsecond later than the one before.
    pub start: u64,
    number: u64,
    named: u64,
}

impl Venue {
    /// Open filters, fees of 0.1 % to the maker and 0.2 % to the taker.
    pub fn new() -> Self {
        Self::with(open_filters(), fees("0.001", "0.002"))
    }

    pub fn with(filters: Filters, fees: Fees) -> Self {
        let mut venue = Self::empty();
        for body in listings(filters, fees) {
            venue.apply(body);
        }
        venue
    }

    /// Without assets and markets.
    pub fn empty() -> Self {
        let partition = Partition::new(PartitionId(0), Routing::single(), 7);
        Self { partition, mirror: Mirror::default(), rules: None, start: 1_000_000, number: 0, named: 0 }
    }

    /// Goes on from the written-down state.
    pub fn restart(&mut self) {
        self.partition = Partition::restore(self.partition.state(), 8).unwrap();
    }

    /// The same with other bounds of what one command does.
    pub fn with_work(mut self, work: WorkBudget) -> Self {
        self.partition = self.partition.with_work(work);
        self
    }

    /// The next part of what commands have left; `None` if they have left nothing.
    pub fn go_on(&mut self) -> Option<Vec<Event>> {
        let number = self.partition.continuation()?;
        Some(self.apply_as(SourceId::partition(self.partition.id()), number, Body::Peer(PeerMessage::Continue)))
    }

    /// Goes on from the written-down state.
    pub fn restart_with(&mut self, work: WorkBudget) {
        let state = self.partition.state();
        self.partition = Partition::restore(state.clone(), 99).unwrap().with_work(work);
        assert_eq!(self.partition.state(), state);
    }

    /// Applies a command under its own number and checks whatever holds for every command.
    pub fn apply(&mut self, body: Body) -> Vec<Event> {
        self.number += 1;
        self.apply_as(GATEWAY, RequestNumber(self.number), body)
    }

    pub fn apply_as(&mut self, source: SourceId, number: RequestNumber, body: Body) -> Vec<Event> {
        self.apply_command(source, number, body, false)
    }

    /// The operator passes over the message by which the venue goes on.
    pub fn pass_over(&mut self) -> Vec<Event> {
        let number = self.partition.continuation().expect("there is something to go on with");
        self.apply_command(SourceId::partition(self.partition.id()), number, Body::Peer(PeerMessage::Continue), true)
    }

    fn apply_command(&mut self, source: SourceId, number: RequestNumber, body: Body, skipped: bool) -> Vec<Event> {
        let sequence = self.partition.sequence().next();
        let mut command = Command::new(sequence, Timestamp(self.start + sequence.0), source, number, body);
        (command.rules, command.skipped) = (self.rules, skipped);
        let mut events = Events::new();
        self.partition.apply(&command, &mut events);
        let audit = self.partition.audit();
        assert_eq!(audit.violations, Vec::<String>::new(), "after {command:?}");
        let (cause, list) = events.iter().next().expect("each command has a cause");
        assert_eq!((cause.sequence, cause.time), (command.sequence, command.time));
        self.mirror.fold(&command, list);
        self.mirror.check(&self.partition);
        list.to_vec()
    }

    pub fn account(&mut self) -> AccountId {
        let events = self.apply(Body::OpenAccount(OpenAccount { label: String::new() }));
        match answer(&events) {
            Answer::AccountOpened(account) => *account,
            other => panic!("{other:?}"),
        }
    }

    /// An account with so many lots of BTC (of BTCUSDT) and so many ticks x lots of USDT.
    pub fn trader(&mut self, base_lots: i128, tick_lots: i128) -> AccountId {
        let account = self.account();
        for (asset, amount) in [(BTC, base_lots * LOT), (USDT, tick_lots * TICK_LOT)] {
            if amount > 0 {
                self.transfer(account, asset, amount, &format!("fund-{}", asset.0)).unwrap();
            }
        }
        account
    }

    pub fn rich(&mut self) -> AccountId {
        self.trader(1_000_000, 1_000_000_000)
    }

    /// The answer to a transfer, and how many events it had.
    pub fn transfer(&mut self, account: AccountId, asset: AssetId, amount: i128, id: &str) -> Result<usize, Refusal> {
        let transfer = TransferId::new_checked(id).unwrap();
        let request = TransferRequest { account, asset, amount: Amount(amount), transfer };
        let events = self.apply(Body::Transfer(request));
        match answer(&events) {
            Answer::Transferred(record) => {
                assert_eq!((record.account, record.asset, record.amount), (account, asset, Amount(amount)));
                Ok(events.len())
            }
            Answer::Refused(refusal) => Err(*refusal),
            other => panic!("{other:?}"),
        }
    }

    /// Places an order under a fresh name, unless it has one. The order's number and all events.
    pub fn place(&mut self, order: NewOrder) -> (OrderId, Vec<Event>) {
        let (answer, events) = self.try_place(order.clone());
        match answer {
            Answer::Placed { symbol, order: id } if symbol == order.terms.symbol => (id, events),
            other => panic!("{order:?} was answered {other:?}"),
        }
    }

    /// Places an order that comes to rest, or to wait.
    pub fn rest(&mut self, order: NewOrder) -> OrderId {
        let (id, _) = self.place(order.clone());
        assert!(self.mirror.order(order.terms.symbol, id).is_some(), "{order:?} does not rest");
        id
    }

    /// Places an order that must be refused: nothing changes.
    pub fn refused(&mut self, order: NewOrder) -> Refusal {
        let before = self.mirror.clone();
        let (answer, events) = self.try_place(order.clone());
        assert_eq!(self.mirror, before);
        let told = match &events[..] {
            [Event::Answered { .. }] => None,
            [Event::OrderRefused { order: refused, reason }, Event::Answered { .. }] => {
                assert_eq!(
                    (refused.account, refused.terms.price, refused.terms.size),
                    (order.account, order.terms.price, order.terms.size)
                );
                Some(*reason)
            }
            more => panic!("a refusal changes nothing: {more:?}"),
        };
        match answer {
            Answer::Refused(refusal) => {
                assert_eq!(told, refusal.reject_reason());
                refusal
            }
            other => panic!("{order:?} was answered {other:?}"),
        }
    }

    fn try_place(&mut self, mut order: NewOrder) -> (Answer, Vec<Event>) {
        if order.terms.client_order_id == name("unnamed") {
            self.named += 1;
            order.terms.client_order_id = name(&format!("o{}", self.named));
        }
        let events = self.apply(Body::Place(order));
        (answer(&events).clone(), events)
    }

    pub fn cancel(&mut self, account: AccountId, target: Target) -> Result<(OrderId, Vec<Event>), Refusal> {
        self.cancel_only(account, target, None)
    }

    pub fn cancel_only(
        &mut self,
        account: AccountId,
        target: Target,
        restriction: Option<CancelRestriction>,
    ) -> Result<(OrderId, Vec<Event>), Refusal> {
        let request = CancelOrder { account, symbol: BTCUSDT, target, cancel_id: name("cancel"), restriction };
        let events = self.apply(Body::Cancel(request));
        match answer(&events) {
            Answer::Canceled { order, .. } => Ok((*order, events)),
            Answer::Refused(refusal) => Err(*refusal),
            other => panic!("{other:?}"),
        }
    }

    pub fn cancel_all(&mut self, account: AccountId) -> Result<Vec<OrderId>, Refusal> {
        let events = self.apply(Body::CancelAll(CancelAll { account, symbol: BTCUSDT, cancel_id: name("all") }));
        match answer(&events) {
            Answer::CanceledAll { count, .. } => {
                let ended: Vec<_> = closed(&events).into_iter().map(|(id, _)| id).collect();
                assert_eq!(ended.len(), *count as usize);
                Ok(ended)
            }
            Answer::Refused(refusal) => Err(*refusal),
            other => panic!("{other:?}"),
        }
    }

    pub fn change(&mut self, filters: Option<Filters>, fees: Option<Fees>, status: Option<MarketStatus>) {
        let request = ChangeMarket { symbol: BTCUSDT, filters, fees, status, self_trade: None };
        let events = self.apply(Body::ChangeMarket(Box::new(request)));
        assert_eq!(*answer(&events), Answer::MarketChanged(BTCUSDT));
    }

    /// Lets two traders trade one lot, so that this is the last price.
    pub fn trade_at(&mut self, price: u64) {
        let (maker, taker) = (self.rich(), self.rich());
        self.rest(sell(maker, price, 1));
        let (_, events) = self.place(buy(taker, price, 1));
        assert_eq!(trades(&events), [(price, 1)]);
    }

    pub fn free(&self, account: AccountId, asset: AssetId) -> i128 {
        self.partition.ledger().balance(account, asset).free.0
    }

    pub fn held(&self, account: AccountId, asset: AssetId) -> i128 {
        self.partition.ledger().balance(account, asset).held.0
    }

    pub fn fees_of(&self, asset: AssetId) -> i128 {
        self.partition.ledger().venue_balance(AccountId::FEES, asset).0
    }

    /// Price levels, best first.
    pub fn depth(&self, side: Side) -> Vec<(u64, u64)> {
        self.mirror.depth(BTCUSDT, side)
    }
}

/// The answer in a command's events.
pub fn answer(events: &[Event]) -> &Answer {
    let mut answers = events.iter().filter_map(|event| match event {
        Event::Answered { answer, .. } => Some(answer),
        _ => None,
    });
    let first = answers.next().expect("a client's command is answered");
    assert!(answers.next().is_none(), "a client's command is answered once");
    first
}

/// Price and quantity of each trade.
pub fn trades(events: &[Event]) -> Vec<(u64, u64)> {
    let trade = |event: &Event| match event {
        Event::Traded(trade) => Some((trade.price.0, trade.quantity.0)),
        _ => None,
    };
    events.iter().filter_map(trade).collect()
}

/// The orders that ended, and why.
pub fn closed(events: &[Event]) -> Vec<(OrderId, CloseReason)> {
    let closed = |event: &Event| match event {
        Event::OrderClosed(closed) => Some((closed.order, closed.reason)),
        _ => None,
    };
    events.iter().filter_map(closed).collect()
}

/// The orders that triggered.
pub fn triggered(events: &[Event]) -> Vec<OrderId> {
    let triggered = |event: &Event| match event {
        Event::OrderTriggered { order, .. } => Some(*order),
        _ => None,
    };
    events.iter().filter_map(triggered).collect()
}

/// Nobody follows a venue but its state: it has no market in which anything has happened.
pub struct Nothing;

impl Past for Nothing {
    fn order(&self, _: SymbolId, _: OrderId) -> Option<OrderImported> {
        None
    }

    fn list(&self, _: SymbolId, _: OrderListId) -> Option<ListImported> {
        None
    }

    fn market(&self, _: SymbolId) -> Option<MarketPast> {
        Some(MarketPast::default())
    }
}
