//! The requests of clients and operator: few accounts with tight funds, three markets with few prices, and filters that
//! are often hit. So much trades, much is refused, and orders of one account often match each other.
//!
//! The frequency of each kind is drawn anew for every world: what is rare in one is frequent in another.

use crossbook_engine::WorkBudget;
use crossbook_protocol::command::Operated;
use crossbook_protocol::command::{
    ChangeMarket, FeePayout, IssueApiKey, ListAsset, ListMarket, OpenAccount, RevokeApiKey, SetAccountFees,
    SetTradeGroup, TransferRequest,
};
use crossbook_protocol::operator::Note;
use crossbook_protocol::order::{
    AmendOrder, CancelAll, CancelOrder, Instructions, NewOrder, OrderTerms, ReplaceOrder, Size, Target,
};
use crossbook_protocol::registry::{Credential, LABEL_BYTES_MAX, Permissions};
use crossbook_protocol::session::{SessionChange, SessionRequest};
use crossbook_protocol::{Body, Rules};
use crossbook_types::{
    AccountFees, AccountId, Amount, ApiKeyId, Asset, AssetId, AssetName, Band, Breaker, CancelRestriction,
    ClientOrderId, Decimal, ExchangeFilters, FeeDiscount, FeeRate, FeeTier, FeeTiers, Fees, Filters, Market,
    MarketStatus, Mean, NotionalFilter, OrderId, OrderType, PartitionId, Peg, PegPrice, Price, PriceRange, Quantity,
    ReferenceCalculation, ReferencePrice, RelativeFilters, SelfTradePrevention, SelfTradeRules, Side, SpecialFilters,
    SymbolId, SymbolName, TimeInForce, Timestamp, TradeGroupId, TrailingBounds, TrailingDelta, TransferId, market,
};

use crate::dice::Dice;

mod countdowns;
mod delisting;
mod lists;

pub use countdowns::Switches;
pub use delisting::Delisting;
pub use lists::OwnList;
use lists::cancel_list;

/// How many accounts take part.
pub const ACCOUNTS: u64 = 6;
/// How many assets there are.
pub const ASSETS: u32 = 3;
/// How many markets there are.
pub const MARKETS: u32 = 3;
/// Of each market, the base asset's smallest units in a lot, and the quote asset's in a lot at a price of one tick.
pub const UNITS: [(i128, i128); MARKETS as usize] = [(1_000, 10), (100_000, 100), (100_000, 100)];
/// The markets: symbol, base and quote asset, tick and step.
const LISTED: [(&str, usize, usize, &str, &str); MARKETS as usize] =
    [("BTCUSDT", 0, 1, "0.01", "0.00001"), ("ETHBTC", 2, 0, "0.001", "0.001"), ("ETHUSDT", 2, 1, "0.001", "0.001")];
const ASSET_NAMES: [&str; ASSETS as usize] = ["BTC", "USDT", "ETH"];
/// What one command does in every world, so that what takes a hundred thousand orders elsewhere takes a few here.
pub const WORK: WorkBudget = WorkBudget { triggers: 2, cancels: 2, continued: 3, ..WorkBudget::RULES };
/// An account that does not exist.
const NOBODY: AccountId = AccountId(9_999);
/// Fee rates that need rounding, and some that do not.
const RATES: [&str; 4] = ["0", "0.001", "0.01234567", "0.5"];

/// What each account begins with, by asset.
const FUNDS: [(u32, i128); ASSETS as usize] = [(0, 6_000_000), (1, 400_000), (2, 12_000_000)];

/// The `n`th account.
#[must_use]
pub fn account(n: u64) -> AccountId {
    AccountId(AccountId::FIRST_CLIENT.0 + n)
}

fn asset_name(text: &str) -> AssetName {
    AssetName::new_checked(text).expect("a name of an asset")
}

fn client_name(text: &str) -> ClientOrderId {
    ClientOrderId::new_checked(text).expect("a name of an order")
}

fn transfer_id(text: &str) -> TransferId {
    TransferId::new_checked(text).expect("a name of a transfer")
}

fn fees(maker: &str, taker: &str) -> Fees {
    let rate = |text| Decimal::parse(text).ok().and_then(FeeRate::from_decimal).expect("a rate");
    Fees { maker: rate(maker), taker: rate(taker) }
}

fn filters() -> Filters {
    Filters {
        price_min: Price(88),
        price_max: Price(112),
        quantity_min: Quantity(1),
        quantity_max: Quantity(12),
        market_quantity_max: Quantity(10),
        notional_min: Amount(1_000),
        notional_max: Amount(1_000_000),
        band_up_percent: 110,
        band_down_percent: 90,
        orders_max: 9,
        algo_orders_max: 3,
        amends_max: 2,
        special: SpecialFilters::USUAL,
        relative: crossbook_types::RelativeFilters::default(),
        order_lists_max: 3,
    }
}

/// The base asset's smallest units in a lot of a market, and the quote asset's in a lot at a price of one tick. A
/// market that was listed again has those of before.
#[must_use]
pub fn units(market: &Market) -> (i128, i128) {
    let listed = LISTED.iter().position(|&(symbol, ..)| symbol == market.symbol.as_str());
    UNITS[listed.unwrap_or_default()]
}

fn description(n: usize) -> market::Description {
    let (symbol, base, quote, tick, step) = LISTED[n];
    let asset = |n: usize| Asset { id: AssetId(n as u32), name: asset_name(ASSET_NAMES[n]), decimals: 8 };
    market::Description {
        id: SymbolId(n as u32),
        symbol: SymbolName::new_checked(symbol).expect("a symbol"),
        base: asset(base),
        quote: asset(quote),
        tick_size: Decimal::parse(tick).expect("a tick"),
        step_size: Decimal::parse(step).expect("a step"),
        filters: filters(),
        fees: fees("0.001", "0.01234567"),
        status: MarketStatus::Trading,
        self_trade: crossbook_types::SelfTradeRules::ALL,
    }
}

/// The commands that make the venue, to be done one after the other.
#[must_use]
pub fn setup() -> Vec<Body> {
    let assets = ASSET_NAMES.iter().map(|name| Body::ListAsset(ListAsset { name: asset_name(name), decimals: 8 }));
    let markets = (0..LISTED.len()).map(|n| Body::ListMarket(Box::new(ListMarket { description: description(n) })));
    let accounts = (0..ACCOUNTS).map(|n| Body::OpenAccount(OpenAccount { label: format!("client {n}") }));
    let funds = (0..ACCOUNTS).flat_map(|n| {
        FUNDS.map(|(asset, amount)| {
            let transfer = transfer_id(&format!("begin-{asset}"));
            let amount = Amount(amount);
            Body::Transfer(TransferRequest { account: account(n), asset: AssetId(asset), amount, transfer })
        })
    });
    let begin = std::iter::once(Body::ActivateRules(Rules::NEWEST));
    begin.chain(assets).chain(markets).chain(accounts).chain(funds).collect()
}

/// An order that a client knows of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Own {
    /// Market of the order.
    pub symbol: SymbolId,
    /// Id of the order.
    pub order: OrderId,
    /// Client order id.
    pub name: ClientOrderId,
    /// The lots that it was placed for; none of an order by worth.
    pub lots: u64,
    /// Its side.
    pub side: Side,
}

/// Draws what is asked next.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Place, cancel, cancel all, transfer, amend, replace, place a list, cancel a list.
    of_clients: [u64; 8],
    /// Change a market, list an asset, list a market, open an account, issue a key, revoke a key, pay fees out, have
    /// the venue's own accounts reported, bound the orders in all markets, set an account's fees, set tiers of fees,
    /// change a session, put an account into a trade group.
    of_operator: [u64; 15],
    /// As [`OrderType::ALL`].
    order_types: Vec<u64>,
    named: u64,
}

impl Workload {
    /// With frequencies of its own.
    pub fn new(dice: &mut Dice) -> Self {
        Self {
            of_clients: [
                dice.between(60, 120),
                dice.between(3, 20),
                dice.between(1, 4),
                dice.between(3, 10),
                dice.between(5, 30),
                dice.between(3, 20),
                dice.between(5, 40),
                dice.between(1, 8),
            ],
            of_operator: [
                dice.between(5, 20),
                1,
                1,
                dice.between(1, 3),
                dice.between(1, 3),
                dice.between(1, 3),
                3,
                1,
                dice.between(1, 3),
                dice.between(1, 3),
                dice.between(1, 3),
                dice.between(1, 3),
                dice.between(2, 6),
                dice.between(2, 10),
                dice.between(2, 10),
            ],
            order_types: OrderType::ALL.iter().map(|_| dice.between(1, 10)).collect(),
            named: 0,
        }
    }

    /// What a client asks next for its account, of which it knows these orders and lists.
    pub fn of_client(&mut self, account: AccountId, orders: &[Own], own_lists: &[OwnList], dice: &mut Dice) -> Body {
        let account = if dice.one_in(80) { NOBODY } else { account };
        match dice.weighted(&self.of_clients) {
            0 => Body::Place(self.place(account, dice)),
            1 => Body::Cancel(cancel(account, orders, dice).1),
            2 => Body::CancelAll(CancelAll { account, symbol: symbol(dice), cancel_id: client_name("all") }),
            3 => Body::Transfer(self.transfer(account, dice)),
            4 => Body::Amend(self.amend(account, orders, dice)),
            5 => Body::Replace(Box::new(self.replace(account, orders, dice))),
            6 => Body::PlaceList(Box::new(self.list(account, dice))),
            _ => Body::CancelList(cancel_list(account, own_lists, dice)),
        }
    }

    /// What the operator asks next.
    pub fn of_operator(&mut self, dice: &mut Dice) -> Body {
        let body = self.asked_by_operator(dice);
        if dice.one_in(3) {
            return body;
        }
        let reason = if dice.one_in(2) { "because" } else { "" };
        let note = Note::new(dice.pick(&["ann", "bob"]), "something", reason);
        Body::Operated(Box::new(Operated { note, body }))
    }

    fn asked_by_operator(&mut self, dice: &mut Dice) -> Body {
        let account = account(dice.below(ACCOUNTS));
        let key = |dice: &mut Dice| ApiKeyId::new_checked(&format!("key{}", dice.below(6))).expect("a name of a key");
        match dice.weighted(&self.of_operator) {
            0 => Body::ChangeMarket(Box::new(change(dice))),
            // Listed already, perhaps with other decimals.
            1 => {
                let name = asset_name(dice.pick(&ASSET_NAMES));
                Body::ListAsset(ListAsset { name, decimals: dice.pick(&[8, 8, 7, 19]) })
            }
            2 => Body::ListMarket(Box::new(ListMarket { description: description(dice.index(LISTED.len())) })),
            3 => {
                let length = if dice.one_in(4) { LABEL_BYTES_MAX + 1 } else { dice.index(20) };
                Body::OpenAccount(OpenAccount { label: "x".repeat(length) })
            }
            4 => Body::IssueApiKey(Box::new(IssueApiKey {
                account,
                key: key(dice),
                permissions: Permissions { read: true, trade: dice.one_in(2) },
                credential: Credential::Hmac { sealed: vec![7; 32] },
                allowed_ips: Vec::new(),
            })),
            5 => Body::RevokeApiKey(RevokeApiKey { account, key: key(dice) }),
            6 => Body::PayOutFees(self.payout(dice)),
            7 => Body::ReportVenue { partition: partition(dice) },
            8 => Body::SetExchangeFilters(exchange_filters(dice)),
            9 => Body::SetAccountFees(SetAccountFees { account, fees: account_fees(dice) }),
            10 => Body::SetFeeTiers(Box::new(fee_tiers(dice))),
            11 => Body::SetFeeDiscount(Box::new(fee_discount(dice))),
            12 if dice.one_in(3) => {
                let account = if dice.one_in(40) { NOBODY } else { account };
                Body::SetFrozen { account, on: dice.one_in(3) }
            }
            12 => {
                let account = if dice.one_in(40) { NOBODY } else { account };
                Body::SetDiscountUse { account, on: !dice.one_in(4) }
            }
            13 => Body::Session(SessionRequest { symbol: symbol(dice), change: session(dice) }),
            _ => {
                let account = if dice.one_in(40) { NOBODY } else { account };
                Body::SetTradeGroup(SetTradeGroup { account, group: TradeGroupId::new_checked(dice.below(3) as u32) })
            }
        }
    }

    fn payout(&mut self, dice: &mut Dice) -> FeePayout {
        self.named += 1;
        let back = if dice.one_in(6) { dice.below(self.named.min(4)) } else { 0 };
        let known = u64::from(ASSETS) + u64::from(dice.one_in(8));
        let asset = AssetId(dice.below(known) as u32);
        let (partition, amount) = (partition(dice), Amount(i128::from(dice.below(30))));
        FeePayout { partition, asset, amount, transfer: transfer_id(&format!("f{}", self.named - back)) }
    }

    /// A name for an order, mostly a new one.
    fn name(&mut self, dice: &mut Dice) -> ClientOrderId {
        self.named += 1;
        let back = if dice.one_in(12) { dice.below(self.named.min(8)) } else { 0 };
        client_name(&format!("o{}", self.named - back))
    }

    fn amend(&mut self, account: AccountId, orders: &[Own], dice: &mut Dice) -> AmendOrder {
        let (own, target) = target(orders, dice);
        let client_order_id = if dice.one_in(2) { own.name } else { self.name(dice) };
        // Up to one more than it is for.
        let quantity = Quantity(dice.below(own.lots + 2));
        let placed = Quantity(own.lots);
        AmendOrder { account, symbol: own.symbol, target, quantity, placed, client_order_id }
    }

    fn replace(&mut self, account: AccountId, orders: &[Own], dice: &mut Dice) -> ReplaceOrder {
        // Of the last ones more are open.
        let recent = if dice.one_in(4) { 0 } else { orders.len().saturating_sub(3) };
        let (own, CancelOrder { symbol, target, restriction, .. }) = cancel(account, &orders[recent..], dice);
        let mut order = self.place(account, dice);
        order.terms.symbol = symbol;
        // Mostly one that pays with the same asset and needs about as much, so that an account without much else lacks
        // the funds of the order before.
        if !dice.one_in(4) && matches!(order.terms.size, Size::Base(_)) {
            order.terms.side = own.side;
            order.terms.size = Size::Base(Quantity(own.lots + dice.below(4)));
        }
        if let (Target::Client(name), true) = (target, dice.one_in(2)) {
            order.terms.client_order_id = name;
        }
        let (cancel_id, allow_failure) = (client_name("replaced"), dice.one_in(2));
        ReplaceOrder { order, target, cancel_id, restriction, allow_failure }
    }

    fn transfer(&mut self, account: AccountId, dice: &mut Dice) -> TransferRequest {
        self.named += 1;
        let back = if dice.one_in(6) { dice.below(self.named.min(4)) } else { 0 };
        let known = u64::from(ASSETS) + u64::from(dice.one_in(8));
        let asset = AssetId(dice.below(known) as u32);
        let unit = [100_000, 3_000, 100_000, 1][asset.0 as usize];
        let amount = (i128::from(dice.below(256)) - 110) * unit / 16;
        TransferRequest {
            account,
            asset,
            amount: Amount(amount),
            transfer: transfer_id(&format!("t{}", self.named - back)),
        }
    }

    fn place(&mut self, account: AccountId, dice: &mut Dice) -> NewOrder {
        let symbol = symbol(dice);
        let order_type = OrderType::ALL[dice.weighted(&self.order_types)];
        let timed = order_type.has_limit_price() && order_type != OrderType::LimitMaker;
        let time_in_force = match dice.below(8) {
            // Now and then where it does not belong.
            _ if !timed && !dice.one_in(60) => TimeInForce::Gtc,
            0..=4 => TimeInForce::Gtc,
            5 | 6 => TimeInForce::Ioc,
            _ => TimeInForce::Fok,
        };
        let instructions = instructions(order_type, time_in_force, dice);
        let (trails, pegged) = (instructions.trailing.is_some(), instructions.peg.is_some());
        let by_worth = order_type == OrderType::Market && dice.one_in(3) || dice.one_in(200);
        let unit = UNITS[(symbol.0 as usize).min(UNITS.len() - 1)].1;
        let size = if by_worth {
            Size::Quote(Amount(i128::from(dice.below(256)) * 5 * unit + i128::from(dice.below(3))))
        } else {
            Size::Base(Quantity(if dice.one_in(20) { dice.below(14) } else { dice.between(1, 10) }))
        };
        NewOrder {
            account,
            terms: OrderTerms {
                symbol,
                client_order_id: self.name(dice),
                side: dice.pick(&[Side::Buy, Side::Sell]),
                order_type,
                time_in_force,
                price: (order_type.has_limit_price() != dice.one_in(200) && !(pegged && dice.one_in(2)))
                    .then(|| around(dice)),
                size,
                stop_price: (order_type.is_conditional() && !(trails && dice.one_in(2))).then(|| around(dice)).into(),
                self_trade_prevention: dice.pick(SelfTradePrevention::ALL),
                instructions: instructions.boxed(),
            },
        }
    }
}

/// What an order asks for beyond the plain ones, mostly where it may.
fn instructions(order_type: OrderType, time_in_force: TimeInForce, dice: &mut Dice) -> Instructions {
    let may_rest = order_type.has_limit_price() && time_in_force == TimeInForce::Gtc;
    let iceberg = if may_rest { dice.one_in(4) } else { dice.one_in(100) };
    let peg = if order_type.has_limit_price() { dice.one_in(6) } else { dice.one_in(200) };
    let trailing = if order_type.is_conditional() { dice.one_in(2) } else { dice.one_in(200) };
    Instructions {
        iceberg: iceberg.then(|| Quantity(dice.between(1, 4))),
        trailing: trailing.then(|| TrailingDelta(dice.between(0, 500) as u32)),
        peg: peg.then(|| Peg { price: dice.pick(PegPrice::ALL), level: dice.pick(&[0, 0, 0, 1, 1, 2, 3, 101]) }),
        ..Instructions::default()
    }
}

/// A partition, which need not be there.
fn partition(dice: &mut Dice) -> PartitionId {
    PartitionId(dice.below(3) as u16)
}

fn symbol(dice: &mut Dice) -> SymbolId {
    SymbolId(if dice.one_in(100) { MARKETS } else { dice.below(u64::from(MARKETS)) as u32 })
}

/// A price, mostly near the middle, now and then outside of what the filters allow.
fn around(dice: &mut Dice) -> Price {
    Price(match dice.below(32) {
        0 => dice.between(84, 91),
        1 => dice.between(106, 113),
        _ => dice.between(95, 104),
    })
}

/// An order of a client, mostly one that it knows, and how it calls it.
fn target(orders: &[Own], dice: &mut Dice) -> (Own, Target) {
    let (symbol, order) = (symbol(dice), OrderId(dice.below(100)));
    let nothing = Own { symbol, order, name: client_name("nothing"), lots: 5, side: Side::Buy };
    let own = if orders.is_empty() || dice.one_in(10) { nothing } else { dice.pick(orders) };
    let target = match dice.below(7) {
        0..=2 => Target::Order(own.order),
        3 | 4 => Target::Client(own.name),
        5 => Target::Both(own.order, own.name),
        _ => Target::Both(own.order, nothing.name),
    };
    (own, target)
}

fn cancel(account: AccountId, orders: &[Own], dice: &mut Dice) -> (Own, CancelOrder) {
    let (own, target) = target(orders, dice);
    let restriction = match dice.below(5) {
        0 => Some(CancelRestriction::OnlyNew),
        1 => Some(CancelRestriction::OnlyPartiallyFilled),
        _ => None,
    };
    (own, CancelOrder { account, symbol: own.symbol, target, cancel_id: client_name("cancel"), restriction })
}

fn change(dice: &mut Dice) -> ChangeMarket {
    let status = match dice.below(40) {
        0 => MarketStatus::Halt,
        1 => MarketStatus::Break,
        2 => MarketStatus::CancelOnly,
        _ => MarketStatus::Trading,
    };
    // Now and then more orders that wait than orders, which no market can have.
    let orders_max = dice.between(3, 10) as u32;
    let algo_orders_max = dice.between(1, 6) as u32;
    let amends_max = dice.below(4) as u32;
    let order_lists_max = dice.below(4) as u32;
    let symbol = SymbolId(dice.below(u64::from(MARKETS)) as u32);
    ChangeMarket {
        symbol,
        filters: dice.one_in(2).then(|| {
            let special = special(dice);
            let relative = if dice.one_in(2) { relative(symbol, dice) } else { RelativeFilters::default() };
            Filters { orders_max, algo_orders_max, amends_max, special, relative, order_lists_max, ..filters() }
        }),
        fees: dice.one_in(2).then(|| fees(dice.pick(&RATES), dice.pick(&RATES))),
        status: Some(status),
        self_trade: dice.one_in(4).then(|| self_trade(dice)),
    }
}

/// Fees of an account, which now and then add up to all that it receives.
fn account_fees(dice: &mut Dice) -> AccountFees {
    let mut draw = || fees(dice.pick(&RATES), dice.pick(&RATES));
    let (standard, special, tax) = (draw(), draw(), draw());
    AccountFees {
        standard: dice.one_in(2).then_some(standard),
        special: if dice.one_in(2) { special } else { Fees::default() },
        tax: if dice.one_in(4) { tax } else { Fees::default() },
    }
}

/// A discount in one of the assets; now and then one that cannot be, or none.
fn fee_discount(dice: &mut Dice) -> FeeDiscount {
    let rate = |dice: &mut Dice| dice.pick(&[1, 3_333_333, 100_000_000, 12_345_678_901]);
    let rates = match dice.below(12) {
        0 => Vec::new(),
        1 => vec![(AssetId(1), 0)],
        2..=4 => vec![(AssetId(2), rate(dice))],
        _ => vec![(AssetId(0), rate(dice)), (AssetId(2), rate(dice))],
    };
    let known = u64::from(ASSETS) + u64::from(dice.one_in(8));
    FeeDiscount {
        asset: AssetId(dice.below(known) as u32),
        basis_points: dice.pick(&[0, 2_500, 2_500, 7_777, 9_999, 10_000]),
        rates,
        except: if dice.one_in(6) { vec![symbol(dice)] } else { Vec::new() },
    }
}

/// Tiers of fees, now and then out of order or of an asset that does not exist.
fn fee_tiers(dice: &mut Dice) -> FeeTiers {
    let volumes = [0i128, 100_000, 100_000, 1_000_000];
    let count = dice.index(4);
    let tiers = (0..count)
        .map(|_| FeeTier { volume_min: Amount(dice.pick(&volumes)), fees: fees(dice.pick(&RATES), dice.pick(&RATES)) });
    let mut tiers: Vec<_> = tiers.collect();
    tiers.sort_unstable_by_key(|tier| tier.volume_min);
    FeeTiers { asset: AssetId(dice.below(u64::from(ASSETS) + 1) as u32), tiers }
}

/// Filters that look beyond the order.
fn relative(symbol: SymbolId, dice: &mut Dice) -> RelativeFilters {
    let (_, base, ..) = LISTED[symbol.0 as usize];
    // Some lots more than what accounts begin with.
    let owned = FUNDS[base].1 + i128::from(dice.between(1, 8)) * UNITS[symbol.0 as usize].0;
    RelativeFilters {
        percent_price: Band { up_percent: dice.pick(&[0, 105]), down_percent: dice.pick(&[0, 96]) },
        sell_band: dice.one_in(3).then_some(Band { up_percent: 106, down_percent: 0 }),
        average_minutes: dice.pick(&[0, 1, 5]),
        notional: dice.pick(NotionalFilter::ALL),
        market_below_min: dice.one_in(4),
        market_max: dice.one_in(3),
        position_max: Amount(if dice.one_in(2) { owned } else { 0 }),
    }
}

/// Mostly none, because they bind all markets.
fn exchange_filters(dice: &mut Dice) -> ExchangeFilters {
    let mut draw = |least| if dice.one_in(3) { dice.between(least, 3 * least) as u32 } else { 0 };
    let (orders_max, algo_orders_max, iceberg_orders_max) = (draw(5), draw(2), draw(1));
    ExchangeFilters { orders_max, algo_orders_max, iceberg_orders_max, order_lists_max: draw(1) }
}

/// Mostly a circuit breaker that trips now and then, or what bounds the prices of orders.
fn session(dice: &mut Dice) -> SessionChange {
    match dice.below(8) {
        _ if dice.one_in(2) => price_range(dice),
        0 => SessionChange::SetBreaker(None),
        1 => SessionChange::End,
        2 => SessionChange::Pass { until: Timestamp(dice.below(1_000)) },
        3 | 4 => SessionChange::OpenAuction { seconds: (!dice.one_in(3)).then(|| dice.below(3) as u32) },
        _ => SessionChange::SetBreaker(Some(Breaker {
            move_bp: 100 * dice.below(8) as u32,
            window_seconds: dice.between(1, 3) as u32,
            pause_seconds: 1,
            auction_seconds: dice.below(2) as u32,
        })),
    }
}

/// An execution rule, or where the reference price comes from, near the prices at which orders are placed.
fn price_range(dice: &mut Dice) -> SessionChange {
    match dice.below(8) {
        0 => SessionChange::SetPriceRange(None),
        1 => SessionChange::SetReference(None),
        2 | 3 => {
            let mut multiple = |least: u64, most: u64| (!dice.one_in(4)).then(|| dice.between(least, most) as u32);
            let (bid_up, bid_down) = (multiple(9_980, 10_600), multiple(9_400, 10_000));
            let (ask_up, ask_down) = (multiple(10_000, 10_600), multiple(9_400, 10_000));
            SessionChange::SetPriceRange(Some(PriceRange { bid_up, bid_down, ask_up, ask_down }))
        }
        4 | 5 => {
            let (buckets, width_ms) = (dice.below(5) as u32, dice.pick(&[1, 70, 400, 3_000]));
            SessionChange::SetReference(Some(ReferenceCalculation::ArithmeticMean(Mean { buckets, width_ms })))
        }
        6 => SessionChange::SetReference(Some(ReferenceCalculation::External { id: dice.below(2) as u32 })),
        _ => {
            let price = ReferencePrice(ReferencePrice::PER_TICK * dice.between(92, 108) + dice.below(500_000));
            SessionChange::SetReferencePrice((!dice.one_in(4)).then_some(price))
        }
    }
}

fn special(dice: &mut Dice) -> SpecialFilters {
    let mut bounds = || {
        let max = dice.pick(&[0, 300, 600]);
        TrailingBounds { min: TrailingDelta(max / 30), max: TrailingDelta(max) }
    };
    let (trailing_above, trailing_below) = (bounds(), bounds());
    SpecialFilters {
        iceberg_parts_max: dice.below(8) as u32,
        iceberg_orders_max: dice.below(4) as u32,
        trailing_above,
        trailing_below,
        pegged: !dice.one_in(4),
    }
}

/// Mostly every mode; now and then all but one.
fn self_trade(dice: &mut Dice) -> SelfTradeRules {
    let refused = dice.pick(SelfTradePrevention::ALL);
    let default = dice.pick(SelfTradePrevention::ALL);
    let allowed = SelfTradePrevention::ALL.iter().copied().filter(|&mode| mode != refused);
    SelfTradeRules::new_checked(default, allowed).unwrap_or(SelfTradeRules::ALL)
}
