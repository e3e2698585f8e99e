//! A venue of a given size, and a workload that keeps that size.

use std::collections::VecDeque;

use crossbook_engine::Partition;
use crossbook_oracle::workload::SplitMix64;
use crossbook_protocol::command::{Body, ListAsset, ListMarket, OpenAccount, TransferRequest};
use crossbook_protocol::order::{CancelOrder, NewOrder, OrderTerms, Size as OrderSize, Target};
use crossbook_protocol::{Answer, Command, Event, Events, Refusal, Routing};
use crossbook_types::market::Description;
use crossbook_types::{
    AccountId, Amount, Asset, AssetId, AssetName, ClientOrderId, Decimal, FeeRate, Fees, Filters, MarketStatus,
    OptionalPrice, OrderId, OrderType, PartitionId, Price, Quantity, RequestNumber, SelfTradePrevention, Sequence,
    Side, SourceId, SymbolId, SymbolName, TimeInForce, Timestamp, TransferId,
};
use crossbook_views::{Limits, Views};

use super::Size;

/// Every how many replacements one trades.
const TRADE_EVERY: u32 = 8;
/// Lots of every order, so that one that trades uses up exactly one that rests.
const LOTS: Quantity = Quantity(100);

/// An order that rests.
#[derive(Clone, Copy, Debug)]
struct Resting {
    account: AccountId,
    symbol: SymbolId,
    order: OrderId,
}

/// The venue.
pub(super) struct Venue {
    size: Size,
    random: SplitMix64,
    partition: Partition,
    views: Views,
    resting: Vec<Resting>,
    /// By market and order number, the place of the order among those that rest.
    places: Vec<Vec<u32>>,
    /// The places that the orders of the prepared commands will take, in order.
    awaited: VecDeque<usize>,
    number: u64,
    commands: Vec<Command>,
    events: Events,
}

impl Venue {
    /// A venue of that size. `progress` is told how many orders rest.
    pub fn open(size: Size, seed: u64, mut progress: impl FnMut(usize)) -> Self {
        // What has ended is not what grows here: a little of it is enough.
        let limits = Limits { closed_orders_per_account: 10, own_trades_per_account: 10, ..Limits::default() };
        let mut venue = Self {
            size,
            random: SplitMix64::new(seed),
            partition: Partition::new(PartitionId(0), Routing::single(), seed),
            views: Views::new(limits),
            resting: Vec::with_capacity(size.open_orders),
            places: vec![Vec::new(); size.markets],
            awaited: VecDeque::new(),
            number: 0,
            commands: Vec::new(),
            events: Events::new(),
        };
        for body in opening(&size) {
            venue.push(body);
            venue.carry_out();
        }
        while venue.resting.len() < size.open_orders {
            let place = venue.resting.len();
            venue.place(place);
            venue.carry_out();
            progress(venue.resting.len());
        }
        venue
    }

    /// Makes at least so many commands ready, and tells how many.
    pub fn prepare(&mut self, least: usize) -> usize {
        self.commands.clear();
        self.events.clear();
        while self.commands.len() < least {
            let place = self.random.below(self.resting.len() as u32) as usize;
            if self.awaited.contains(&place) {
                // What would be cancelled is not there yet.
                continue;
            }
            if self.random.below(TRADE_EVERY) == 0 {
                self.trade();
            }
            let Resting { account, symbol, order } = self.resting[place];
            self.push(Body::Cancel(CancelOrder {
                account,
                symbol,
                target: Target::Order(order),
                cancel_id: name('c', self.number),
                restriction: None,
            }));
            self.place(place);
        }
        self.commands.len()
    }

    /// The partition does what is prepared.
    pub fn apply(&mut self) {
        self.partition.apply_all(&self.commands, &mut self.events);
    }

    /// The views follow.
    pub fn follow(&mut self) {
        for (cause, events) in self.events.iter() {
            self.views.apply_all(cause, events);
        }
    }

    /// Takes down which orders rest now, has others take the places of those that have traded, and tells how many
    /// trades there were.
    pub fn settle(&mut self) -> u64 {
        let (mut trades, mut freed) = (0, Vec::new());
        for event in self.events.all() {
            match event {
                Event::Traded(trade) => {
                    trades += 1;
                    freed.push((trade.symbol, trade.maker.order));
                }
                Event::OrderPlaced(placed) => {
                    let place =
                        if placed.terms.time_in_force == TimeInForce::Gtc { self.awaited.pop_front() } else { None };
                    let order = Resting { account: placed.account, symbol: placed.terms.symbol, order: placed.order };
                    let orders = &mut self.places[placed.terms.symbol.0 as usize];
                    orders.resize(placed.order.0 as usize + 1, 0);
                    let Some(place) = place else { continue };
                    orders[placed.order.0 as usize] = place as u32;
                    match self.resting.get_mut(place) {
                        Some(was) => *was = order,
                        None => self.resting.push(order),
                    }
                }
                // What was to be cancelled has traded before.
                Event::Answered { answer: Answer::Refused(Refusal::UnknownOrder), .. } => {}
                Event::Answered { answer: Answer::Refused(refusal), .. } => panic!("the venue refused: {refusal}"),
                _ => {}
            }
        }
        for (symbol, order) in freed {
            let place = self.places[symbol.0 as usize][order.0 as usize] as usize;
            let now = self.resting[place];
            if (now.symbol, now.order) == (symbol, order) {
                self.commands.clear();
                self.events.clear();
                self.place(place);
                self.carry_out();
            }
        }
        trades
    }

    /// Orders that are open.
    pub fn open_orders(&self) -> usize {
        self.views.markets().map(|market| market.all_orders().filter(|order| order.status.is_open()).count()).sum()
    }

    /// What does not add up.
    pub fn faults(&self) -> Vec<String> {
        self.partition.audit().violations
    }

    fn carry_out(&mut self) {
        self.apply();
        self.follow();
        self.settle();
        self.commands.clear();
        self.events.clear();
    }

    /// An order that will rest, at `place` among the others.
    fn place(&mut self, place: usize) {
        self.awaited.push_back(place);
        let order = resting(&self.size, &mut self.random, self.number);
        self.push(Body::Place(order));
    }

    /// An order that takes the best of the other side.
    fn trade(&mut self) {
        let (side, price) = match self.random.below(2) {
            0 => (Side::Buy, 2 * self.size.levels as u32 + 2),
            _ => (Side::Sell, 1),
        };
        let account = account(self.random.below(self.size.accounts as u32));
        let symbol = SymbolId(self.random.below(self.size.markets as u32));
        self.push(Body::Place(order(account, symbol, (side, price), TimeInForce::Ioc, self.number)));
    }

    fn push(&mut self, body: Body) {
        self.number += 1;
        self.commands.push(Command::new(
            Sequence(self.number),
            Timestamp(self.number),
            SourceId::FIRST_GATEWAY,
            RequestNumber(self.number),
            body,
        ));
    }
}

/// The commands that make a venue of that size: markets, funded accounts, and orders that rest.
pub(crate) fn commands(size: Size, seed: u64) -> impl Iterator<Item = Body> {
    let mut random = SplitMix64::new(seed);
    let orders = (0..size.open_orders as u64).map(move |number| Body::Place(resting(&size, &mut random, number)));
    opening(&size).chain(orders)
}

/// An order that no other one meets.
fn resting(size: &Size, random: &mut SplitMix64, number: u64) -> NewOrder {
    let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
    let away = random.below(size.levels as u32);
    let middle = size.levels as u32 + 1;
    let price = if side == Side::Buy { middle - 1 - away } else { middle + 1 + away };
    let account = account(random.below(size.accounts as u32));
    order(account, SymbolId(random.below(size.markets as u32)), (side, price), TimeInForce::Gtc, number)
}

fn order(
    account: AccountId,
    symbol: SymbolId,
    (side, price): (Side, u32),
    time_in_force: TimeInForce,
    number: u64,
) -> NewOrder {
    NewOrder {
        account,
        terms: OrderTerms {
            symbol,
            client_order_id: name('o', number),
            side,
            order_type: OrderType::Limit,
            time_in_force,
            price: Some(Price(price.into())),
            size: OrderSize::Base(LOTS),
            stop_price: OptionalPrice::NONE,
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        },
    }
}

fn account(number: u32) -> AccountId {
    AccountId(AccountId::FIRST_CLIENT.0 + u64::from(number))
}

fn name(kind: char, number: u64) -> ClientOrderId {
    ClientOrderId::new_checked(&format!("{kind}{number}")).expect("a letter and digits")
}

fn opening(size: &Size) -> impl Iterator<Item = Body> + use<> {
    let Size { accounts, markets, levels, .. } = *size;
    let assets = [(0, "BTC"), (1, "USDT")].map(|(id, name)| {
        let name = AssetName::new_checked(name).expect("a valid name");
        Asset { id: AssetId(id), name, decimals: 8 }
    });
    let listed = assets.map(|asset| Body::ListAsset(ListAsset { name: asset.name, decimals: asset.decimals }));
    let market = move |number: usize| {
        Body::ListMarket(Box::new(ListMarket { description: description(number as u32, levels as u64, assets) }))
    };
    let accounts = 0..accounts as u32;
    let opened = accounts.clone().map(|_| Body::OpenAccount(OpenAccount { label: String::new() }));
    let funded = accounts.flat_map(|number| {
        [(AssetId(0), "base"), (AssetId(1), "quote")].map(|(asset, transfer)| {
            Body::Transfer(TransferRequest {
                account: account(number),
                asset,
                amount: Amount(1 << 70),
                transfer: TransferId::new_checked(transfer).expect("a valid name"),
            })
        })
    });
    listed.into_iter().chain((0..markets).map(market)).chain(opened).chain(funded)
}

fn description(number: u32, levels: u64, [base, quote]: [Asset; 2]) -> Description {
    let decimal = |text| Decimal::parse(text).expect("a valid number");
    let rate = FeeRate::from_decimal(decimal("0.001")).expect("a valid rate");
    Description {
        id: SymbolId(number),
        symbol: SymbolName::new_checked(&format!("M{number}USDT")).expect("a valid name"),
        base,
        quote,
        tick_size: decimal("0.01"),
        step_size: decimal("0.00001"),
        filters: Filters {
            price_min: Price(1),
            price_max: Price(2 * levels + 2),
            quantity_min: LOTS,
            quantity_max: LOTS,
            market_quantity_max: LOTS,
            notional_min: Amount(0),
            notional_max: Amount::MAX,
            band_up_percent: 0,
            band_down_percent: 0,
            orders_max: 1_000_000,
            algo_orders_max: 1,
            amends_max: 10,
            special: crossbook_types::SpecialFilters::USUAL,
            relative: crossbook_types::RelativeFilters::default(),
            order_lists_max: 20,
        },
        fees: Fees { maker: rate, taker: rate },
        status: MarketStatus::Trading,
        self_trade: crossbook_types::SelfTradeRules::ALL,
    }
}
