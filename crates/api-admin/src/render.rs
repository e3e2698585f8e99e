//! Markets and orders as JSON, with the names and forms of the client API, so that an operator can compare both.
//! Decimals are strings of exact numbers.

use crossbook_protocol::registry::Account;
use crossbook_types::decimal::power_of_ten;
use crossbook_types::{
    Amount, Asset, Band, Decimal, Feature, FeeRate, Market, NotionalFilter, OrderType, Price, Quantity, Side,
};
use crossbook_views::{Order, OwnTrade};
use serde_json::{Value, json};

/// Digits after the point that are written at least.
const DIGITS_MIN: u8 = 8;
/// A band that is switched off upwards is shown as this multiple, in percent.
const NO_BAND_UP_PERCENT: u32 = 100_000_000;
/// Maxima above this many whole units are not shown as they are: fixed-point numbers of 128 bits with 16 digits after
/// the point end there.
const READABLE_BELOW: i128 = 17_000_000_000_000;
/// What is shown instead: who keeps to less breaks no rule.
const READABLE: i128 = 9_000_000_000;

/// A number of `10^-scale` as text, with at least `digits_min` digits after the point.
pub(crate) fn decimal(units: i128, scale: u8, digits_min: u8) -> String {
    let mut text = String::new();
    Decimal::write(units, scale, digits_min, &mut text);
    text
}

/// An amount as text, with as many digits as its asset has.
pub(crate) fn amount_text(amount: Amount, decimals: u8) -> String {
    decimal(amount.0, decimals, 0)
}

fn amount(asset: &Asset, amount: Amount) -> String {
    decimal(amount.0, asset.decimals, DIGITS_MIN)
}

fn steps(step: Decimal, count: u64) -> String {
    decimal(i128::from(count) * step.units(), step.scale(), DIGITS_MIN)
}

fn price(market: &Market, price: Price) -> String {
    steps(market.tick_size, price.0)
}

fn quantity(market: &Market, quantity: Quantity) -> String {
    steps(market.step_size, quantity.0)
}

pub(crate) fn rate(rate: FeeRate) -> String {
    decimal(i128::from(rate.units()), FeeRate::SCALE, 0)
}

/// A market with its rules and its fee rates.
pub(crate) fn market(market: &Market) -> Value {
    let (base, quote) = (&market.base, &market.quote);
    let takes_lists = market.filters.order_lists_max > 0;
    json!({
        "symbol": market.symbol,
        "status": market.status.as_str(),
        "baseAsset": base.name,
        "baseAssetPrecision": base.decimals,
        "quoteAsset": quote.name,
        "quotePrecision": quote.decimals,
        "quoteAssetPrecision": quote.decimals,
        "baseCommissionPrecision": base.decimals,
        "quoteCommissionPrecision": quote.decimals,
        "orderTypes": OrderType::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "icebergAllowed": market.filters.special.allows(Feature::Iceberg),
        "ocoAllowed": takes_lists,
        "otoAllowed": takes_lists,
        "opoAllowed": takes_lists,
        "quoteOrderQtyMarketAllowed": true,
        "allowTrailingStop": market.filters.special.allows(Feature::TrailingStop),
        "cancelReplaceAllowed": true,
        "amendAllowed": market.filters.amends_max > 0,
        "pegInstructionsAllowed": market.filters.special.allows(Feature::Pegged),
        "isSpotTradingAllowed": true,
        "isMarginTradingAllowed": false,
        "filters": filters(market),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": market.self_trade.default_mode().as_str(),
        "allowedSelfTradePreventionModes": market.self_trade.allowed().map(|mode| mode.as_str()).collect::<Vec<_>>(),
        "makerFee": rate(market.fees.maker),
        "takerFee": rate(market.fees.taker),
    })
}

fn filters(market: &Market) -> Vec<Value> {
    let f = &market.filters;
    let lots = |name: &str, max: Quantity| {
        json!({
            "filterType": name,
            "minQty": quantity(market, f.quantity_min),
            "maxQty": steps(market.step_size, readable(max.0, market.step_size)),
            "stepSize": decimal(market.step_size.units(), market.step_size.scale(), DIGITS_MIN),
        })
    };
    let mut filters = vec![
        json!({
            "filterType": "PRICE_FILTER",
            "minPrice": price(market, f.price_min),
            "maxPrice": steps(market.tick_size, readable(f.price_max.0, market.tick_size)),
            "tickSize": price(market, Price(1)),
        }),
        lots("LOT_SIZE", f.quantity_max),
        lots("MARKET_LOT_SIZE", f.market_quantity_max),
    ];
    relative_filters(market, &mut filters);
    filters.push(json!({ "filterType": "MAX_NUM_ORDERS", "maxNumOrders": f.orders_max }));
    filters.push(json!({ "filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": f.algo_orders_max }));
    if f.special.allows(Feature::Iceberg) {
        filters.push(json!({ "filterType": "ICEBERG_PARTS", "limit": f.special.iceberg_parts_max }));
        let most = f.special.iceberg_orders_max;
        filters.push(json!({ "filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": most }));
    }
    if f.amends_max > 0 {
        filters.push(json!({ "filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": f.amends_max }));
    }
    if f.order_lists_max > 0 {
        filters.push(json!({ "filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": f.order_lists_max }));
    }
    if f.special.allows(Feature::TrailingStop) {
        let (above, below) = (f.special.trailing_above, f.special.trailing_below);
        filters.push(json!({
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": above.min.0,
            "maxTrailingAboveDelta": above.max.0,
            "minTrailingBelowDelta": below.min.0,
            "maxTrailingBelowDelta": below.max.0,
        }));
    }
    filters
}

/// The filters that look at the market's price, or at what an account has.
fn relative_filters(market: &Market, filters: &mut Vec<Value>) {
    let f = &market.filters;
    let up = |band: Band| multiplier(if band.up_percent == 0 { NO_BAND_UP_PERCENT } else { band.up_percent });
    let down = |band: Band| multiplier(band.down_percent);
    let minutes = f.relative.average_minutes;
    let (bid, ask) = (market.band(Side::Buy), market.band(Side::Sell));
    if !bid.is_off() || !ask.is_off() {
        filters.push(json!({
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": up(bid),
            "bidMultiplierDown": down(bid),
            "askMultiplierUp": up(ask),
            "askMultiplierDown": down(ask),
            "avgPriceMins": minutes,
        }));
    }
    let both = f.relative.percent_price;
    if !both.is_off() {
        filters.push(json!({
            "filterType": "PERCENT_PRICE",
            "multiplierUp": up(both),
            "multiplierDown": down(both),
            "avgPriceMins": minutes,
        }));
    }
    let decimals = market.quote.decimals;
    let is_readable = is_readable(f.notional_max.0, decimals);
    let notional_max = if is_readable { f.notional_max } else { Amount(READABLE * whole(decimals)) };
    match f.relative.notional {
        NotionalFilter::Both => filters.push(json!({
            "filterType": "NOTIONAL",
            "minNotional": amount(&market.quote, f.notional_min),
            "applyMinToMarket": !f.relative.market_below_min,
            "maxNotional": amount(&market.quote, notional_max),
            "applyMaxToMarket": f.relative.market_max,
            "avgPriceMins": minutes,
        })),
        NotionalFilter::Least => filters.push(json!({
            "filterType": "MIN_NOTIONAL",
            "minNotional": amount(&market.quote, f.notional_min),
            "applyToMarket": !f.relative.market_below_min,
            "avgPriceMins": minutes,
        })),
        NotionalFilter::Off => {}
    }
    if !f.relative.position_max.is_zero() {
        let most = amount(&market.base, f.relative.position_max);
        filters.push(json!({ "filterType": "MAX_POSITION", "maxPosition": most }));
    }
}

fn whole(decimals: u8) -> i128 {
    power_of_ten(decimals).unwrap_or(i128::MAX)
}

fn is_readable(units: i128, decimals: u8) -> bool {
    units / whole(decimals) < READABLE_BELOW
}

/// A maximum in steps, or less if clients could not hold it.
fn readable(count: u64, step: Decimal) -> u64 {
    if is_readable(i128::from(count).saturating_mul(step.units()), step.scale()) {
        return count;
    }
    let fewer = READABLE.saturating_mul(whole(step.scale())) / step.units().max(1);
    u64::try_from(fewer).unwrap_or(count).clamp(1, count.max(1))
}

/// A percentage as a plain multiple: 20 is "0.2", 500 is "5".
fn multiplier(percent: u32) -> String {
    let (mut units, mut scale) = (percent, 2);
    while scale > 0 && units.is_multiple_of(10) {
        units /= 10;
        scale -= 1;
    }
    decimal(i128::from(units), scale, 0)
}

/// An account without what it has.
pub(super) fn account(account: &Account, is_frozen: bool) -> Value {
    json!({
        "accountId": account.id,
        "label": account.label,
        "opened": account.opened.millis(),
        "tradeGroupId": account.trade_group.map_or(-1, |group| i64::from(group.number())),
        "frozen": is_frozen,
    })
}

/// An open order of an account.
pub(crate) fn order(market: &Market, order: &Order) -> Value {
    let mut shown = json!({
        "symbol": market.symbol,
        "orderId": order.order.0,
        "orderListId": -1,
        "clientOrderId": order.terms.client_order_id,
        "price": price(market, order.terms.price.unwrap_or_default()),
        "origQty": quantity(market, order.original_quantity()),
        "executedQty": quantity(market, order.executed),
        "cummulativeQuoteQty": amount(&market.quote, order.executed_quote),
        "status": order.status.as_str(),
        "timeInForce": order.terms.time_in_force.as_str(),
        "type": order.terms.order_type.as_str(),
        "side": order.terms.side.as_str(),
        "stopPrice": price(market, order.terms.stop_price.get().unwrap_or_default()),
        "icebergQty": quantity(market, order.terms.iceberg().unwrap_or_default()),
        "time": order.placed.millis(),
        "updateTime": order.updated.millis(),
        "isWorking": order.working_since.is_some(),
        "workingTime": order.working_since.get().map_or(json!(-1), |since| since.millis().into()),
        "origQuoteOrderQty": amount(&market.quote, order.original_quote()),
        "selfTradePreventionMode": order.terms.self_trade_prevention.as_str(),
    });
    if let Some(prevention) = &order.prevention {
        shown["preventedMatchId"] = prevention.id.number().into();
        shown["preventedQuantity"] = quantity(market, prevention.quantity).into();
    }
    shown
}

/// One side of a trade; `fee_asset` is what its fee was paid in.
pub(crate) fn own_trade(market: &Market, trade: &OwnTrade, fee_asset: &Asset) -> Value {
    json!({
        "symbol": market.symbol,
        "id": trade.trade.0,
        "orderId": trade.order.0,
        "price": price(market, trade.price),
        "qty": quantity(market, trade.quantity),
        "quoteQty": amount(&market.quote, trade.quote),
        "commission": amount(fee_asset, trade.fee),
        "commissionAsset": fee_asset.name,
        "time": trade.time.millis(),
        "isBuyer": trade.side == Side::Buy,
        "isMaker": trade.maker,
    })
}
