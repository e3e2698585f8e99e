//! Random commands, decoded from bytes so that a failing stream can be shrunk: few accounts with tight funds and few
//! prices, so that much trades, much is refused, and orders of one account often match each other.

use crossbook_oracle::model::Model;
use crossbook_protocol::command::Operated;
use crossbook_protocol::command::{Body, ChangeMarket, SetAccountFees, SetTradeGroup, TransferRequest};
use crossbook_protocol::operator::Note;
use crossbook_protocol::order::{
    AmendOrder, CancelAll, CancelOrder, Instructions, NewOrder, OrderTerms, ReplaceOrder, Size, Target,
};
use crossbook_protocol::order_list::{CancelList, ListTarget, NewList};
use crossbook_protocol::session::{Phase, SessionChange, SessionRequest};
use crossbook_types::{
    AccountFees, AccountId, Amount, AssetId, Band, Breaker, CancelRestriction, ClientOrderId, ExchangeFilters,
    FeeDiscount, FeeTier, FeeTiers, Fees, Filters, ListKind, MarketStatus, Mean, NotionalFilter, OrderId, OrderListId,
    OrderType, Peg, PegPrice, Price, PriceRange, Quantity, ReferenceCalculation, ReferencePrice, RelativeFilters,
    SelfTradePrevention, SelfTradeRules, Side, SpecialFilters, SymbolId, TimeInForce, Timestamp, TradeGroupId,
    TrailingBounds, TrailingDelta, TransferId,
};

use super::{BTCUSDT, ETHBTC, Order as _, buy, fees, name};

/// What one command is made from.
pub type Step = [u8; 16];

/// How many accounts take part.
pub const ACCOUNTS: u64 = 5;
/// Base and quote units per lot, and per lot and tick, of both markets.
pub const UNITS: [(i128, i128); 2] = [(1_000, 10), (100_000, 100)];

/// Fee rates that need rounding, and some that do not.
const RATES: [&str; 4] = ["0", "0.001", "0.01234567", "0.5"];

/// Filters that are often met.
pub fn filters() -> Filters {
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
        amends_max: 3,
        special: SpecialFilters::USUAL,
        relative: crossbook_types::RelativeFilters::default(),
        order_lists_max: 2,
    }
}

fn account(byte: u8) -> AccountId {
    // One in 64 is of nobody.
    if byte >= 252 { AccountId(9_999) } else { AccountId(1_001 + u64::from(byte) % ACCOUNTS) }
}

fn symbol(byte: u8) -> SymbolId {
    SymbolId(match byte {
        0..=150 => 0,
        151..=252 => 1,
        _ => 2,
    })
}

fn client_name(byte: u8) -> ClientOrderId {
    name(&format!("c{byte}"))
}

/// What the accounts begin with.
pub fn endowments() -> Vec<Body> {
    let mut bodies = Vec::new();
    for at in 0..ACCOUNTS {
        for (asset, amount) in [(0, 2_000_000), (1, 60_000), (2, 3_000_000)] {
            bodies.push(Body::Transfer(TransferRequest {
                account: AccountId(1_001 + at),
                asset: AssetId(asset),
                amount: Amount(amount),
                transfer: TransferId::new_checked(&format!("begin-{asset}")).unwrap(),
            }));
        }
    }
    bodies
}

/// The command that a step means, where the model stands now.
pub fn body(step: &Step, model: &Model) -> Body {
    let &[what, who, market, side, kind, time, price, quantity, stop, more, ..] = step;
    let (account, symbol) = (account(who), symbol(market));
    if let Some(body) = super::countdowns::body(step, account, model) {
        return body;
    }
    let body = match what {
        0..=145 => Body::Place(place(step, account, symbol)),
        146..=151 => Body::Replace(Box::new(replace(step, account, symbol, model))),
        152..=167 => Body::Amend(amend(step, account, symbol, model)),
        // Few lists where an auction collects: all are refused there, and the auction is to have orders to match.
        168..=200 if collects(model, symbol) => Body::Place(place(step, account, symbol)),
        168..=207 => Body::PlaceList(Box::new(list(step, account, symbol))),
        208..=211 => Body::CancelList(cancel_list(account, symbol, [price, quantity], model)),
        212..=232 => Body::Cancel(cancel(account, symbol, [price, quantity, kind], model)),
        233..=237 => Body::CancelAll(CancelAll { account, symbol, cancel_id: name("all") }),
        238 => Body::SetExchangeFilters(exchange_filters(step)),
        239 => Body::SetAccountFees(SetAccountFees { account, fees: account_fees(step) }),
        240 => Body::SetFeeTiers(Box::new(fee_tiers(step))),
        241 if more % 2 == 0 => Body::Session(SessionRequest { symbol, change: reference(step) }),
        241 => Body::Session(SessionRequest { symbol, change: session(step, symbol, model) }),
        242 => Body::SetTradeGroup(SetTradeGroup { account, group: TradeGroupId::new_checked(u32::from(more % 3)) }),
        243 => Body::SetFeeDiscount(Box::new(fee_discount(step))),
        244 if kind < 128 => Body::SetFrozen { account, on: more < 40 },
        244 => Body::SetDiscountUse { account, on: more < 192 },
        245..=250 => {
            let asset = AssetId(u32::from(market) % 4);
            let unit = [100_000, 3_000, 100_000, 1][asset.0 as usize];
            let amount = (i128::from(quantity) - 110) * unit / 16;
            let transfer =
                TransferId::new_checked(&format!("t{}", u16::from(price) * 4 + u16::from(stop % 4))).unwrap();
            Body::Transfer(TransferRequest { account, asset, amount: Amount(amount), transfer })
        }
        _ => {
            let status = match kind {
                0..=231 => MarketStatus::Trading,
                232..=239 => MarketStatus::Halt,
                240..=247 => MarketStatus::Break,
                _ => MarketStatus::CancelOnly,
            };
            let rate = |byte: u8| RATES[usize::from(byte) % RATES.len()];
            let filters = Filters {
                orders_max: 3 + u32::from(more % 8),
                algo_orders_max: 1 + u32::from(more % 5),
                amends_max: u32::from(time % 5),
                order_lists_max: u32::from(more % 4),
                quantity_min: Quantity(1 + u64::from(time % 3)),
                market_quantity_max: Quantity(4 + u64::from(more % 7)),
                price_max: Price(100 + u64::from(stop % 13)),
                special: special(step),
                relative: if (price ^ stop) % 3 == 0 { relative(step) } else { RelativeFilters::default() },
                ..filters()
            };
            Body::ChangeMarket(Box::new(ChangeMarket {
                symbol: SymbolId(u32::from(market) % 2),
                filters: (side < 128).then_some(filters),
                fees: (time < 128).then(|| fees(rate(price), rate(stop))),
                status: (quantity < 160 || status == MarketStatus::Trading).then_some(status),
                // Now and then one mode is refused, until the next change.
                self_trade: Some(match SelfTradePrevention::ALL.get(usize::from(more) / 8) {
                    Some(&refused) => SelfTradeRules::new_checked(
                        SelfTradePrevention::ExpireTaker,
                        SelfTradePrevention::ALL.iter().copied().filter(|&mode| mode != refused),
                    )
                    .unwrap_or_default(),
                    None => SelfTradeRules::ALL,
                }),
            }))
        }
    };
    as_asked(step, body)
}

/// An operator asks for some of what operators ask for.
fn as_asked(step: &Step, body: Body) -> Body {
    let &[what, _, _, _, _, _, _, _, stop, more, ..] = step;
    if !matches!(what, 238..=240 | 242..) || stop % 3 != 0 {
        return body;
    }
    let note = Note::new("ann", "what", if more < 128 { "why" } else { "" });
    Body::Operated(Box::new(Operated { note, body }))
}

/// Filters of all markets. Mostly off, as they bind everywhere.
fn exchange_filters(step: &Step) -> ExchangeFilters {
    let &[_, _, _, _, kind, time, price, ..] = step;
    ExchangeFilters {
        orders_max: [0, 0, 0, 0, 0, 0, 4, 12][usize::from(kind % 8)],
        algo_orders_max: if time % 6 == 0 { 2 } else { 0 },
        iceberg_orders_max: if price % 6 == 0 { 1 } else { 0 },
        order_lists_max: if price % 6 == 1 { 1 } else { 0 },
    }
}

/// Fees of an account, of which some take much.
fn account_fees(step: &Step) -> AccountFees {
    let &[_, _, _, _, kind, time, price, quantity, stop, more, ..] = step;
    AccountFees {
        standard: (kind < 128).then(|| fees(RATES[usize::from(price % 4)], RATES[usize::from(stop % 4)])),
        special: fees(RATES[usize::from(time % 3)], RATES[usize::from(more % 3)]),
        tax: if quantity < 64 { fees("0.00000001", "0.6") } else { Fees::default() },
    }
}

/// Tiers of fees that are soon reached; now and then none, too high ones or out of order.
fn fee_tiers(step: &Step) -> FeeTiers {
    let &[_, _, market, side, kind, time, price, quantity, stop, more, ..] = step;
    let tier = |volume: u64, maker: u8, taker: u8| FeeTier {
        volume_min: Amount(volume.into()),
        fees: fees(RATES[usize::from(maker % 4)], RATES[usize::from(taker % 4)]),
    };
    let unit = [100_000, 10_000, 1_000_000, 1][usize::from(market % 4)];
    let first = unit * u64::from(1 + quantity % 4);
    let tiers = match kind {
        0..=31 => Vec::new(),
        32..=47 => vec![tier(first, side, price), tier(first, time, stop)],
        48..=159 => vec![tier(first, side, price)],
        _ => vec![tier(0, more, more / 4), tier(first, side, price), tier(4 * first, time, stop)],
    };
    // One in four of an asset that is not there.
    FeeTiers { asset: AssetId(u32::from(market % 4)), tiers }
}

/// A discount in one of the assets; now and then one that cannot be, or none.
fn fee_discount(step: &Step) -> FeeDiscount {
    let &[_, _, market, side, kind, time, price, quantity, stop, ..] = step;
    let rate = |byte: u8| [1, 3_333_333, 100_000_000, 12_345_678_901][usize::from(byte % 4)];
    let rates = match kind {
        0..=15 => Vec::new(),
        16..=23 => vec![(AssetId(1), rate(price)), (AssetId(1), rate(stop))],
        24..=31 => vec![(AssetId(2), 0)],
        32..=63 => vec![(AssetId(2), rate(price))],
        _ => vec![(AssetId(0), rate(price)), (AssetId(1), rate(stop))],
    };
    FeeDiscount {
        // One in four of an asset that is not there.
        asset: AssetId(u32::from(market % 4)),
        basis_points: [0, 2_500, 2_500, 7_777, 9_999, 10_000][usize::from(time % 6)],
        rates,
        except: if side % 8 == 0 { vec![SymbolId(u32::from(quantity % 3))] } else { Vec::new() },
    }
}

/// Filters that look beyond the order.
fn relative(step: &Step) -> RelativeFilters {
    let &[_, who, market, _, kind, time, price, quantity, stop, more, ..] = step;
    // What an account begins with, more or less.
    let (owned, lot) = if market % 2 == 0 { (2_000_000, UNITS[0].0) } else { (3_000_000, UNITS[1].0) };
    let position = owned + (i128::from(quantity % 16) - 8) * 4 * lot;
    RelativeFilters {
        percent_price: Band {
            up_percent: [0, 104][usize::from(who % 2)],
            down_percent: [0, 97][usize::from(kind % 2)],
        },
        sell_band: (price % 3 == 0).then_some(Band { up_percent: 105, down_percent: 0 }),
        average_minutes: [0, 1, 3, 60][usize::from(stop % 4)],
        notional: NotionalFilter::ALL[usize::from(more % 3)],
        market_below_min: time % 4 == 0,
        market_max: time % 3 == 0,
        position_max: Amount(if stop % 2 == 0 { 0 } else { position.max(0) }),
    }
}

/// Mostly a breaker that much trips; now and then what ends a phase, or a breaker that cannot be.
fn collects(model: &Model, symbol: SymbolId) -> bool {
    symbol.0 < 2 && model.session_of(symbol).phase == Phase::Collecting
}

/// What bounds the prices of orders, near those at which orders are placed.
fn reference(step: &Step) -> SessionChange {
    let &[_, _, _, how, kind, time, price, quantity, stop, more, ..] = step;
    let up = |byte: u8| (!byte.is_multiple_of(4)).then(|| 9_990 + 10 * u32::from(byte % 64));
    let down = |byte: u8| (!byte.is_multiple_of(4)).then(|| 9_400 + 10 * u32::from(byte % 61));
    match how % 8 {
        0..=2 => {
            let (bid_up, bid_down, ask_up, ask_down) = (up(price), down(quantity), up(stop), down(more));
            SessionChange::SetPriceRange(Some(PriceRange { bid_up, bid_down, ask_up, ask_down }))
        }
        3 if kind < 32 => SessionChange::SetPriceRange(None),
        3 | 4 => {
            let (buckets, width_ms) = (u32::from(time % 6), [500, 7_000, 20_000, 40_000_000][usize::from(kind % 4)]);
            SessionChange::SetReference(Some(ReferenceCalculation::ArithmeticMean(Mean { buckets, width_ms })))
        }
        5 if kind < 32 => SessionChange::SetReference(None),
        5 => SessionChange::SetReference(Some(ReferenceCalculation::External { id: u32::from(kind % 2) })),
        _ if kind < 32 => SessionChange::SetReferencePrice(None),
        _ => {
            let millionths = 94_000_000 + 50_000 * u64::from(price) + u64::from(quantity);
            SessionChange::SetReferencePrice(Some(ReferencePrice(if kind < 40 { 999_999 } else { millionths })))
        }
    }
}

fn session(step: &Step, symbol: SymbolId, model: &Model) -> SessionChange {
    let &[_, _, _, how, kind, time, price, quantity, ..] = step;
    let until = (symbol.0 < 2).then(|| model.session_of(symbol).until).flatten();
    match how {
        0..=159 if kind % 3 > 0 => {
            SessionChange::OpenAuction { seconds: Some([5, 20, 60, 300][usize::from(price % 4)]) }
        }
        0..=159 => SessionChange::SetBreaker(Some(Breaker {
            move_bp: 100 * u32::from(kind % 8),
            window_seconds: [2, 12, 40, 400][usize::from(price % 4)],
            pause_seconds: [2, 12][usize::from(quantity % 2)],
            auction_seconds: [0, 0, 6, 20][usize::from(time % 4)],
        })),
        160..=167 => SessionChange::SetBreaker(None),
        168..=191 => SessionChange::OpenAuction { seconds: (kind < 200).then_some(u32::from(price % 3)) },
        192..=219 => SessionChange::End,
        _ => SessionChange::Pass { until: until.unwrap_or(Timestamp(u64::from(time))) },
    }
}

fn place(step: &Step, account: AccountId, symbol: SymbolId) -> NewOrder {
    let &[_, _, _, side, kind, time, price, quantity, stop, more, ..] = step;
    let order_type = match kind {
        0..=119 => OrderType::Limit,
        120..=159 => OrderType::Market,
        160..=175 => OrderType::LimitMaker,
        176..=195 => OrderType::StopLoss,
        196..=215 => OrderType::StopLossLimit,
        216..=235 => OrderType::TakeProfit,
        _ => OrderType::TakeProfitLimit,
    };
    // Mostly near the middle, now and then outside of what the filters allow.
    let around = |byte: u8| match byte {
        0..=239 => Price(95 + u64::from(byte) / 24),
        240..=247 => Price(84 + u64::from(byte - 240)),
        _ => Price(106 + u64::from(byte - 248)),
    };
    let timed = order_type.has_limit_price() && order_type != OrderType::LimitMaker;
    let time_in_force = match time % 8 {
        0..=4 => TimeInForce::Gtc,
        // Now and then where it does not belong.
        _ if !timed && time < 240 => TimeInForce::Gtc,
        5 | 6 => TimeInForce::Ioc,
        _ => TimeInForce::Fok,
    };
    let instructions = instructions(step, order_type);
    let (trails, pegged) = (instructions.trailing.is_some(), instructions.peg.is_some());
    let by_worth = order_type == OrderType::Market && quantity & 1 == 1 || quantity == 254;
    let unit = if symbol.0 == 0 { 10 } else { 100 };
    let size = if by_worth {
        Size::Quote(Amount(i128::from(quantity) * 5 * unit + i128::from(stop % 3)))
    } else {
        Size::Base(Quantity(u64::from(quantity % 13)))
    };
    NewOrder {
        account,
        terms: OrderTerms {
            symbol,
            client_order_id: client_name(more),
            side: if side < 128 { Side::Buy } else { Side::Sell },
            order_type,
            time_in_force,
            price: (order_type.has_limit_price() != (time == 255) && !(pegged && price % 2 == 0))
                .then(|| around(price)),
            size,
            stop_price: (order_type.is_conditional() && !(trails && stop % 2 == 0)).then(|| around(stop)).into(),
            self_trade_prevention: SelfTradePrevention::ALL[usize::from(time / 8) % SelfTradePrevention::ALL.len()],
            instructions: instructions.boxed(),
        },
    }
}

/// What a market allows of orders with instructions.
fn special(step: &Step) -> SpecialFilters {
    let &[_, _, _, _, _, _, price, quantity, _, more, ..] = step;
    SpecialFilters {
        iceberg_parts_max: u32::from(quantity % 7),
        iceberg_orders_max: u32::from(price % 5),
        trailing_above: trailing(more % 8),
        trailing_below: trailing(more / 8 % 8),
        pegged: more % 7 > 0,
    }
}

/// Bounds of trailing deltas; now and then none are allowed.
fn trailing(byte: u8) -> TrailingBounds {
    let max = if byte == 0 { 0 } else { 100 * (1 + u32::from(byte)) };
    TrailingBounds { min: TrailingDelta(max / 20), max: TrailingDelta(max) }
}

/// What an order asks for beyond the plain ones.
fn instructions(step: &Step, order_type: OrderType) -> Instructions {
    let &[_, who, market, side, kind, time, price, quantity, stop, more, ..] = step;
    let mix = [who, market, side, kind, time, price, quantity, stop, more];
    let mix = mix.iter().fold(7u32, |sum, &byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    // Now and then of an order that cannot rest.
    let iceberg = (mix >> 8) % 3 == 0 && (order_type.has_limit_price() && time % 8 < 5 || mix % 40 == 0);
    let peg = (mix >> 4) % 4 == 0 && (order_type.has_limit_price() || mix % 40 == 2);
    let trailing = (mix >> 16) % 2 == 0 && (order_type.is_conditional() || mix % 40 == 1);
    Instructions {
        iceberg: iceberg.then(|| Quantity(u64::from(mix >> 12) % 5)),
        trailing: trailing.then_some(TrailingDelta((mix >> 20) % 700)),
        peg: peg.then(|| Peg {
            price: if mix >> 28 & 1 == 0 { PegPrice::Primary } else { PegPrice::Market },
            level: [0, 0, 0, 1, 2, 3, 4, 101][(mix >> 25 & 7) as usize],
        }),
        ..Instructions::default()
    }
}

fn cancel(account: AccountId, symbol: SymbolId, [pick, how, only]: [u8; 3], model: &Model) -> CancelOrder {
    let open = if symbol.0 < 2 { model.open_orders(symbol) } else { &[] };
    let chosen = open.get(usize::from(pick) % open.len().max(1));
    let id = chosen.map_or(OrderId(u64::from(pick)), |order| OrderId(order.id));
    let client = chosen.map_or_else(|| client_name(pick), |order| order.client);
    // Mostly the owner asks, sometimes whoever.
    let account = chosen.filter(|_| how < 220).map_or(account, |order| order.account);
    let target = match how % 7 {
        0..=2 => Target::Order(id),
        3 | 4 => Target::Client(client),
        5 => Target::Both(id, client),
        _ => Target::Both(id, client_name(how)),
    };
    let restriction = match only {
        0..=151 => None,
        152..=203 => Some(CancelRestriction::OnlyNew),
        _ => Some(CancelRestriction::OnlyPartiallyFilled),
    };
    CancelOrder { account, symbol, target, cancel_id: name("cancel"), restriction }
}

fn amend(step: &Step, account: AccountId, symbol: SymbolId, model: &Model) -> AmendOrder {
    let &[_, _, _, named, how, odd, pick, more, _, other, ..] = step;
    let cancel = cancel(account, symbol, [pick, how, 0], model);
    let open = if symbol.0 < 2 { model.open_orders(symbol) } else { &[] };
    let chosen = open.get(usize::from(pick) % open.len().max(1));
    let (size, left) = chosen.and_then(|order| order.lots_of()).unwrap_or((5, 5));
    let client_order_id = match named {
        0..=79 => chosen.map_or(client_name(other), |order| order.client),
        _ => client_name(other),
    };
    AmendOrder {
        account: cancel.account,
        symbol,
        target: cancel.target,
        // From a lot to one more than it is for.
        quantity: Quantity(u64::from(more) % (size + 2)),
        // Now and then what it cannot have been.
        placed: Quantity(if odd >= 250 { left.saturating_sub(1) } else { size }),
        client_order_id,
    }
}

fn replace(step: &Step, account: AccountId, symbol: SymbolId, model: &Model) -> ReplaceOrder {
    let &[_, who, _, side, kind, time, price, quantity, stop, more, ..] = step;
    let CancelOrder { account, target, restriction, .. } = cancel(account, symbol, [quantity, who, stop], model);
    let open = if symbol.0 < 2 { model.open_orders(symbol) } else { &[] };
    let chosen = open.get(usize::from(quantity) % open.len().max(1));
    let mut order = place(step, account, symbol);
    // Under the name of the order that goes, now and then.
    if let Some(chosen) = chosen.filter(|_| more % 3 == 0) {
        order.terms.client_order_id = chosen.client;
    }
    let allow_failure = (side ^ kind ^ time ^ price) & 1 == 1;
    ReplaceOrder { order, target, cancel_id: name("replaced"), restriction, allow_failure }
}

/// A list that is mostly well formed: the pair around the middle, the working order near it.
fn list(step: &Step, account: AccountId, symbol: SymbolId) -> NewList {
    let &[_, who, _, side, kind, time, price, quantity, stop, more, spread, first, second, third, odd, mode] = step;
    let side = if side < 128 { Side::Buy } else { Side::Sell };
    let list_kind = ListKind::ALL[usize::from(kind) % 5];
    let side_of_others = match (list_kind.pays_on(), odd) {
        (true, 0..=249) => Side::Sell,
        (false, 0..=127) if list_kind.has_working_order() => side.opposite(),
        _ => side,
    };
    let prevention = SelfTradePrevention::ALL[usize::from(mode) % SelfTradePrevention::ALL.len()];
    let quantity = Quantity(1 + u64::from(quantity % 12));
    let order = |order_type: OrderType, side, limit: u64, stop: u64, name, time: u8| OrderTerms {
        symbol,
        client_order_id: client_name(name),
        side,
        order_type,
        time_in_force: time_of_leg(order_type, time),
        price: order_type.has_limit_price().then_some(Price(limit)),
        size: Size::Base(quantity),
        stop_price: order_type.is_conditional().then_some(Price(stop)).into(),
        self_trade_prevention: prevention,
        // Mostly of those that can rest.
        instructions: Instructions {
            iceberg: (mode >= 192 && (order_type.has_limit_price() || who >= 250))
                .then_some(Quantity(u64::from(name % 5))),
            ..Instructions::default()
        }
        .boxed(),
    };
    let middle = 95 + u64::from(price) / 26;
    let (near, far) = (u64::from(spread % 4), u64::from(spread / 4 % 6));
    // What waits for a fall, and what for a rise; now and then the wrong way round.
    let (low, high) = if odd < 244 { (middle - near.max(1), middle + 1 + far) } else { (middle + 2, middle) };
    let (stopped, taken) = if side_of_others == Side::Sell { (low, high) } else { (high, low) };
    let stop_type = if stop < 128 { OrderType::StopLoss } else { OrderType::StopLossLimit };
    let other_type = [OrderType::LimitMaker, OrderType::TakeProfit, OrderType::TakeProfitLimit][usize::from(time % 3)];
    let beyond = |from: u64| from + u64::from(first % 3) - 1;
    let pair = || {
        [
            order(stop_type, side_of_others, beyond(stopped), stopped, second, first),
            order(
                other_type,
                side_of_others,
                if other_type.is_conditional() { beyond(taken) } else { taken },
                taken,
                third,
                spread,
            ),
        ]
    };
    let works = if time < 200 { OrderType::Limit } else { OrderType::LimitMaker };
    let working = order(works, side, 94 + u64::from(stop) / 22, 1, more, time);
    let mut orders = Vec::new();
    orders.extend(list_kind.has_working_order().then_some(working));
    if list_kind.has_pair() {
        orders.extend(pair());
    } else {
        let kind = OrderType::ALL[usize::from(first % 7)];
        orders.push(order(kind, side_of_others, beyond(middle), if spread < 128 { low } else { high }, second, third));
    }
    if list_kind.pays_on() && odd != 252 {
        orders[1..].iter_mut().for_each(|order| order.size = Size::Base(Quantity::ZERO));
    }
    for order in &mut orders {
        instruct(order, step);
    }
    if odd == 253 {
        orders.pop();
    }
    if odd == 254 {
        orders[0].symbol = SymbolId(1 - symbol.0.min(1));
    }
    NewList { account, symbol, client_order_id: client_name(odd % 64), kind: list_kind, orders }
}

/// Lets an order of a list trail the price, or take its price from the book, now and then where it cannot.
fn instruct(order: &mut OrderTerms, step: &Step) {
    let begin = 11 + u32::from(order.client_order_id.as_str().as_bytes().last().copied().unwrap_or_default());
    let mix = step.iter().fold(begin, |sum, &byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let (conditional, limited) = (order.order_type.is_conditional(), order.order_type.has_limit_price());
    let trails = (mix >> 8) % 4 == 0 && (conditional || mix % 32 == 0);
    let pegged = (mix >> 12) % 4 == 0 && (limited || mix % 32 == 1);
    let asked = order.instructions.as_deref().copied().unwrap_or_default();
    order.instructions = Instructions {
        trailing: trails.then_some(TrailingDelta((mix >> 16) % 600)),
        peg: pegged.then(|| Peg {
            price: if (mix >> 24) % 4 > 0 { PegPrice::Primary } else { PegPrice::Market },
            level: [0, 0, 0, 0, 0, 1, 2, 101][(mix >> 26 & 7) as usize],
        }),
        ..asked
    }
    .boxed();
    // Neither has to name a price.
    if trails && (mix >> 20) % 2 == 0 {
        order.stop_price = None.into();
    }
    if pegged && (mix >> 21) % 4 > 0 {
        order.price = None;
    }
}

fn time_of_leg(order_type: OrderType, time: u8) -> TimeInForce {
    match (order_type, time % 8) {
        (OrderType::Limit | OrderType::StopLossLimit | OrderType::TakeProfitLimit, 6) => TimeInForce::Ioc,
        (OrderType::Limit | OrderType::StopLossLimit | OrderType::TakeProfitLimit, 7) => TimeInForce::Fok,
        _ => TimeInForce::Gtc,
    }
}

fn cancel_list(account: AccountId, symbol: SymbolId, [pick, how]: [u8; 2], model: &Model) -> CancelList {
    let open = if symbol.0 < 2 { model.open_lists(symbol) } else { &[] };
    let chosen = open.get(usize::from(pick) % open.len().max(1));
    let id = chosen.map_or(OrderListId(u64::from(pick)), |list| list.id);
    let client = chosen.map_or_else(|| client_name(pick), |list| list.name);
    let account = chosen.filter(|_| how < 220).map_or(account, |list| list.account);
    let target = match how % 4 {
        0 => ListTarget::List(id),
        1 => ListTarget::Client(client),
        2 => ListTarget::Both(id, client),
        _ => ListTarget::Both(id, client_name(how)),
    };
    CancelList { account, symbol, target, cancel_id: name("list") }
}

/// Whether a command may switch a limit on for which open orders count.
pub fn may_switch_a_limit_on(body: &Body) -> bool {
    match body {
        Body::Operated(operated) => may_switch_a_limit_on(&operated.body),
        body => matches!(body, Body::SetExchangeFilters(_) | Body::ChangeMarket(_)),
    }
}

/// Orders that are refused, after which each account's partition knows what it has open in markets of others: where a
/// limit was switched on, the account's first order asks, and the answers come after it.
pub fn askers() -> impl Iterator<Item = Body> {
    let accounts = (0..ACCOUNTS).map(|at| AccountId(AccountId::FIRST_CLIENT.0 + at));
    let order = |account, symbol| buy(account, 1, 1).with(|terms| (terms.symbol, terms.price) = (symbol, None));
    accounts.flat_map(move |account| [BTCUSDT, ETHBTC].map(|symbol| Body::Place(order(account, symbol))))
}
