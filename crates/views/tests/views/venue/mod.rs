//! A small venue that trades at random but repeatably, and the plain list of all that it said.

use crossbook_engine::Partition;
use crossbook_oracle::sample::{btcusdt, decimal};
use crossbook_protocol::command::Operated;
use crossbook_protocol::command::{
    Body, FeePayout, ListAsset, ListMarket, OpenAccount, SetTradeGroup, TransferRequest,
};
use crossbook_protocol::operator::Note;
use crossbook_protocol::order::{AmendOrder, CancelAll, CancelOrder, Instructions, NewOrder, OrderTerms, Size, Target};
use crossbook_protocol::order_list::NewList;
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::{Cause, Command, Event, Events, Routing, Rules};
use crossbook_types::{
    AccountId, Amount, Asset, AssetId, AssetName, ClientOrderId, FeeRate, Fees, Filters, ListKind, OrderId, OrderType,
    PartitionId, Peg, PegPrice, Price, Quantity, RequestNumber, SelfTradePrevention, Sequence, Side, SourceId,
    StrategyId, StrategyType, SymbolId, SymbolName, TimeInForce, Timestamp, TradeGroupId, TrailingDelta, TransferId,
    market,
};
use crossbook_views::Limits;

/// Sunday, 22 November 2026, 21:18:54 UTC.
pub const START: Timestamp = Timestamp(1_795_382_334_000_000);
pub const ACCOUNTS: u64 = 4;
pub const MARKETS: u32 = 2;

/// The generator splitmix64.
pub struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let z = z ^ (z >> 31);
        ((u128::from(z) * u128::from(bound)) >> 64) as u64
    }
}

/// More than such a venue ever has: views with these forget nothing.
pub fn everything() -> Limits {
    let all = 1_000_000;
    Limits {
        closed_orders_per_account: all,
        closed_orders_per_market: all,
        own_trades_per_account: all,
        own_trades_per_market: all,
        prevented_matches_per_market: all,
        amendments_per_market: all,
        operator_log: all,
        trades_per_market: all,
        aggregate_trades_per_market: all,
        candles_per_interval: all,
    }
}

pub fn name(text: &str) -> ClientOrderId {
    ClientOrderId::new_checked(text).unwrap()
}

pub fn asset(id: u32) -> Asset {
    let name = AssetName::new_checked(["USDT", "BTC", "ETH"][id as usize]).unwrap();
    Asset { id: AssetId(id), name, decimals: 8 }
}

/// Lots of 10^-5 base, ticks of 10^-2 quote.
pub fn description(id: u32) -> market::Description {
    let btcusdt = btcusdt();
    let filters = Filters {
        quantity_max: Quantity(1_000_000),
        market_quantity_max: Quantity(1_000_000),
        notional_min: Amount(1),
        orders_max: 50,
        algo_orders_max: 20,
        amends_max: 10,
        order_lists_max: 10,
        ..btcusdt.filters
    };
    let rate = |text| FeeRate::from_decimal(decimal(text)).unwrap();
    market::Description {
        id: SymbolId(id),
        symbol: SymbolName::new_checked(["BTCUSDT", "ETHUSDT"][id as usize]).unwrap(),
        base: asset(id + 1),
        quote: asset(0),
        filters,
        fees: Fees { maker: rate("0.001"), taker: rate("0.002") },
        ..btcusdt
    }
}

pub struct Venue {
    pub partition: Partition,
    pub log: Vec<(Cause, Vec<Event>)>,
    /// What was asked, and when, to ask it of another venue.
    pub asked: Vec<(Timestamp, Body)>,
    pub now: Timestamp,
    draw: Draw,
    placed: u64,
}

impl Venue {
    /// Assets, markets, and accounts with money.
    pub fn open(seed: u64) -> Self {
        let partition = Partition::new(PartitionId(0), Routing::single(), 7);
        let mut venue = Self { partition, log: Vec::new(), asked: Vec::new(), now: START, draw: Draw(seed), placed: 0 };
        for id in 0..=MARKETS {
            let Asset { name, decimals, .. } = asset(id);
            venue.command(Body::ListAsset(ListAsset { name, decimals }));
        }
        for id in 0..MARKETS {
            venue.command(Body::ListMarket(Box::new(ListMarket { description: description(id) })));
        }
        venue.command(Body::ActivateRules(Rules::NEWEST));
        for account in 0..ACCOUNTS {
            venue.command(Body::OpenAccount(OpenAccount { label: format!("trader {account}") }));
            for asset in 0..=MARKETS {
                venue.command(Body::Transfer(TransferRequest {
                    account: AccountId(AccountId::FIRST_CLIENT.0 + account),
                    asset: AssetId(asset),
                    amount: Amount(10_i128.pow(17)),
                    transfer: TransferId::new_checked(&format!("first-{asset}")).unwrap(),
                }));
            }
        }
        venue.command(Body::ActivateRules(Rules::NEWEST));
        for account in 0..2 {
            let account = AccountId(AccountId::FIRST_CLIENT.0 + account);
            venue.command(Body::SetTradeGroup(SetTradeGroup { account, group: TradeGroupId::new_checked(3) }));
        }
        venue
    }

    pub fn command(&mut self, body: Body) {
        self.asked.push((self.now, body.clone()));
        let sequence = self.partition.sequence().next();
        let command = Command::new(sequence, self.now, SourceId::FIRST_GATEWAY, RequestNumber(sequence.0), body);
        let mut events = Events::new();
        self.partition.apply(&command, &mut events);
        self.log.extend(events.iter().map(|(cause, events)| (cause, events.to_vec())));
    }

    /// Trades at random; between two commands pass up to `pause` microseconds, and seldom much more.
    pub fn trade(&mut self, commands: usize, pause: u64) {
        for _ in 0..commands {
            let longer = if self.draw.below(200) == 0 { 300 } else { 1 };
            self.now.0 += self.draw.below(pause * longer);
            let body = self.random();
            self.command(body);
        }
    }

    /// Does what commands have left.
    pub fn finish(&mut self) {
        while let Some(number) = self.partition.continuation() {
            let source = SourceId::partition(self.partition.id());
            let body = Body::Peer(PeerMessage::Continue);
            let command = Command::new(self.partition.sequence().next(), self.now, source, number, body);
            let mut events = Events::new();
            self.partition.apply(&command, &mut events);
            self.log.extend(events.iter().map(|(cause, events)| (cause, events.to_vec())));
        }
    }

    fn random(&mut self) -> Body {
        let account = AccountId(AccountId::FIRST_CLIENT.0 + self.draw.below(ACCOUNTS));
        let symbol = SymbolId(self.draw.below(u64::from(MARKETS)) as u32);
        let cancel_id = name("gone");
        match self.draw.below(400) {
            0 => Body::CancelAll(CancelAll { account, symbol, cancel_id }),
            1..=60 => {
                let order = OrderId(1 + self.draw.below(self.placed.max(1)));
                Body::Cancel(CancelOrder {
                    account,
                    symbol,
                    target: Target::Order(order),
                    cancel_id,
                    restriction: None,
                })
            }
            // Once so much has been collected that it is there however the venue is cut.
            61 if self.asked.len() > 500 => {
                let payout = Body::PayOutFees(FeePayout {
                    partition: PartitionId(0),
                    asset: AssetId(self.draw.below(u64::from(MARKETS) + 1) as u32),
                    amount: Amount(1 + i128::from(self.draw.below(10))),
                    transfer: TransferId::new_checked(&format!("payout-{}", self.asked.len())).unwrap(),
                });
                let note = Note::new("ann", "POST venue/withdrawals", "the end of the month, 월말");
                Body::Operated(Box::new(Operated { note, body: payout }))
            }
            62..=66 => self.amendment(symbol).unwrap_or_else(|| Body::Place(self.order(account, symbol))),
            67..=74 => self.list(account, symbol),
            _ => Body::Place(self.order(account, symbol)),
        }
    }

    /// A lower quantity for one of the last orders of a market.
    fn amendment(&mut self, symbol: SymbolId) -> Option<Body> {
        let back = self.draw.below(40) as usize;
        let placed =
            self.log.iter().rev().flat_map(|(_, events)| events.iter().rev()).filter_map(|event| match event {
                Event::OrderPlaced(placed) if placed.terms.symbol == symbol => {
                    Some((placed.order, placed.account, placed.terms.size))
                }
                _ => None,
            });
        let mut placed = placed.filter_map(|(order, account, size)| match size {
            Size::Base(quantity) => Some((order, account, quantity)),
            Size::Quote(_) => None,
        });
        let (order, account, placed) = placed.nth(back)?;
        Some(Body::Amend(AmendOrder {
            account,
            symbol,
            target: Target::Order(order),
            quantity: Quantity(1 + self.draw.below(placed.0)),
            placed,
            client_order_id: name(&format!("name-{}", self.draw.below(60))),
        }))
    }

    /// A list with prices on both sides of those at which others trade.
    fn list(&mut self, account: AccountId, symbol: SymbolId) -> Body {
        let kind = ListKind::ALL[self.draw.below(5) as usize];
        let side = if kind.pays_on() || self.draw.below(2) == 0 { Side::Buy } else { Side::Sell };
        let others = if kind.has_working_order() { side.opposite() } else { side };
        let (low, high) = (10_029 - self.draw.below(6), 10_039 + self.draw.below(6));
        let (stop, limit) = if others == Side::Sell { (low, high) } else { (high, low) };
        let size = Size::Base(Quantity(10 + self.draw.below(100)));
        let pending = if kind.pays_on() { Size::Base(Quantity(0)) } else { size };
        let mut order = |order_type: OrderType, side, price, size| OrderTerms {
            symbol,
            client_order_id: name(&format!("leg-{}", self.draw.below(90))),
            side,
            order_type,
            time_in_force: TimeInForce::Gtc,
            price: order_type.has_limit_price().then_some(Price(price)),
            size,
            stop_price: order_type.is_conditional().then_some(Price(price)).into(),
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        };
        let mut orders = Vec::new();
        if kind.has_working_order() {
            orders.push(order(OrderType::Limit, side, if side == Side::Buy { high } else { low }, size));
        }
        if kind.has_pair() {
            orders.push(order(OrderType::StopLoss, others, stop, pending));
            orders.push(order(OrderType::LimitMaker, others, limit, pending));
        } else {
            orders.push(order(OrderType::Limit, others, limit, pending));
        }
        self.placed += orders.len() as u64;
        let client_order_id = name(&format!("list-{}", self.draw.below(60)));
        Body::PlaceList(Box::new(NewList { account, symbol, client_order_id, kind, orders }))
    }

    fn order(&mut self, account: AccountId, symbol: SymbolId) -> NewOrder {
        self.placed += 1;
        let draw = &mut self.draw;
        let side = if draw.below(2) == 0 { Side::Buy } else { Side::Sell };
        let order_type = OrderType::ALL[[0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6][draw.below(13) as usize]];
        let conditional = order_type.is_conditional();
        let has_price = order_type.has_limit_price();
        // The two sides overlap by half, so that orders trade and rest about as often.
        let away = if side == Side::Buy { 0 } else { 30 };
        let price = Price(10_000 + away + draw.below(40));
        let stop = Price(10_000 + draw.below(60));
        let by_quote = order_type == OrderType::Market && draw.below(2) == 0;
        let time_in_force = match (has_price, order_type) {
            (true, OrderType::Limit) => TimeInForce::ALL[[0, 0, 0, 0, 0, 0, 1, 2][draw.below(8) as usize]],
            _ => TimeInForce::Gtc,
        };
        let quantity = Quantity(1 + draw.below(if has_price { 500 } else { 200 }));
        let may_rest = has_price && time_in_force == TimeInForce::Gtc;
        let instructions = Instructions {
            strategy_id: (quantity.0.is_multiple_of(5)).then(|| StrategyId(-(draw.0 as i64 & 0xffff))),
            strategy_type: (quantity.0.is_multiple_of(10)).then_some(StrategyType::MIN),
            iceberg: (may_rest && quantity.0.is_multiple_of(4)).then(|| Quantity(quantity.0.div_ceil(3))),
            list: None,
            trailing: (conditional && quantity.0.is_multiple_of(3))
                .then_some(TrailingDelta(10 + quantity.0 as u32 % 20)),
            peg: (has_price && time_in_force != TimeInForce::Gtc && quantity.0.is_multiple_of(2))
                .then_some(Peg { price: PegPrice::Market, level: 0 }),
            trade_group: None,
            discount: None,
        };
        NewOrder {
            account,
            terms: OrderTerms {
                symbol,
                // Few names, so that they are used again.
                client_order_id: name(&format!("name-{}", draw.below(60))),
                side,
                order_type,
                time_in_force,
                price: has_price.then_some(price),
                size: if by_quote {
                    Size::Quote(Amount(i128::from(quantity.0) * 10_000_000))
                } else {
                    Size::Base(quantity)
                },
                stop_price: conditional.then_some(stop).into(),
                self_trade_prevention: SelfTradePrevention::ALL
                    [draw.below(SelfTradePrevention::ALL.len() as u64) as usize],
                instructions: instructions.boxed(),
            },
        }
    }

    pub fn events(&self) -> impl Iterator<Item = (Cause, &Event)> {
        self.log.iter().flat_map(|(cause, events)| events.iter().map(|event| (*cause, event)))
    }
}

/// A cause of hand-made events.
pub fn cause(sequence: u64, seconds: u64) -> Cause {
    Cause { sequence: Sequence(sequence), time: Timestamp(START.0 + seconds * 1_000_000) }
}
