//! The venue's rules, and an account's balances and limits.

use crossbook_gateway::DiscountOf;
use crossbook_gateway::queries::AccountBalances;
use crossbook_types::decimal::power_of_ten;
use crossbook_types::{
    Amount, Band, Decimal, ExchangeFilters, Feature, FeeParts, FeeRate, Fees, Filters, Market, NotionalFilter,
    OrderType, Price, Quantity, Side, Timestamp,
};

use super::json::{self, Object};
use crate::error::RateInterval;
use crate::time_unit::TimeUnit;
use crossbook_gateway::limits::{LimitsConfig, OrderCount};

/// A band that is switched off upwards is shown as this multiple.
const NO_BAND_UP_PERCENT: u32 = 100_000_000;

/// Markets with their rules, and the rate limits. `markets` is a JSON array of them; see [`market_rules`].
#[must_use]
pub fn exchange_info(
    now: Timestamp,
    unit: TimeUnit,
    limits: &RateLimits<'_>,
    filters: ExchangeFilters,
    markets: &str,
) -> String {
    let mut out = String::with_capacity(1_024 + markets.len());
    json::object(&mut out, |o| {
        o.name("timezone", "UTC").number("serverTime", unit.of(now));
        rate_limits(o.key("rateLimits"), limits);
        exchange_filters(o.key("exchangeFilters"), filters);
        o.key("symbols").push_str(markets);
    });
    out
}

/// The limits of a transport.
#[derive(Clone, Copy, Debug)]
pub struct RateLimits<'a> {
    /// What counts for all.
    pub requests: &'a LimitsConfig,
    /// How often an address may connect, and within which time, where connections are what is counted beside requests;
    /// `None` where it is requests of whatever weight.
    pub connections: Option<(u32, RateInterval)>,
}

fn rate_limits(out: &mut String, limits: &RateLimits<'_>) {
    let &RateLimits { requests, connections } = limits;
    let last = match connections {
        None => ("RAW_REQUESTS", "MINUTE", 5, requests.raw_requests_5m),
        Some((limit, RateInterval { count, unit })) => ("CONNECTIONS", unit, count, limit.into()),
    };
    let all = [
        ("REQUEST_WEIGHT", "MINUTE", 1, requests.request_weight_1m),
        ("ORDERS", "SECOND", 10, requests.orders_10s),
        ("ORDERS", "DAY", 1, requests.orders_1d),
        last,
    ];
    let in_force = all.into_iter().filter(|(.., limit)| *limit != 0);
    out.push_str(&json::array(in_force, |(kind, interval, count, limit), out| {
        json::object(out, |o| {
            o.name("rateLimitType", kind).name("interval", interval).number("intervalNum", count);
            o.number("limit", limit);
        });
    }));
}

/// A market with its rules, with the sets of permissions that it asks for or without.
pub fn market_rules(market: &Market, with_sets: bool, out: &mut String) {
    let (base, quote) = (&market.base, &market.quote);
    json::object(out, |o| {
        o.name("symbol", market.symbol.as_str()).name("status", market.status.as_str());
        o.name("baseAsset", base.name.as_str()).number("baseAssetPrecision", base.decimals.into());
        o.name("quoteAsset", quote.name.as_str()).number("quotePrecision", quote.decimals.into());
        o.number("quoteAssetPrecision", quote.decimals.into());
        o.number("baseCommissionPrecision", base.decimals.into());
        o.number("quoteCommissionPrecision", quote.decimals.into());
        words(o.key("orderTypes"), OrderType::ALL.iter().map(|kind| kind.as_str()));
        let special = &market.filters.special;
        o.flag("icebergAllowed", special.allows(Feature::Iceberg));
        for lists in ["ocoAllowed", "otoAllowed", "opoAllowed"] {
            o.flag(lists, market.filters.order_lists_max > 0);
        }
        o.flag("quoteOrderQtyMarketAllowed", true);
        o.flag("allowTrailingStop", special.allows(Feature::TrailingStop)).flag("cancelReplaceAllowed", true);
        o.flag("amendAllowed", market.filters.amends_max > 0);
        o.flag("pegInstructionsAllowed", special.allows(Feature::Pegged));
        o.flag("isSpotTradingAllowed", true).flag("isMarginTradingAllowed", false);
        filters(o.key("filters"), market);
        o.key("permissions").push_str("[]");
        o.key("permissionSets").push_str(if with_sets { "[[\"SPOT\"]]" } else { "[]" });
        o.name("defaultSelfTradePreventionMode", market.self_trade.default_mode().as_str());
        let modes = market.self_trade.allowed().map(|mode| mode.as_str());
        words(o.key("allowedSelfTradePreventionModes"), modes);
    });
}

fn words(out: &mut String, words: impl Iterator<Item = &'static str>) {
    out.push_str(&json::array(words, |word, out| {
        out.push('"');
        out.push_str(word);
        out.push('"');
    }));
}

fn filters(out: &mut String, market: &Market) {
    let f = &market.filters;
    let mut first = true;
    let mut filter = |kind: &str, write: &dyn Fn(&mut Object<'_>)| {
        out.push(if std::mem::take(&mut first) { '[' } else { ',' });
        json::object(out, |o| {
            o.name("filterType", kind);
            write(o);
        });
    };
    filter("PRICE_FILTER", &|o| {
        let price_max = Price(readable(f.price_max.0, market.tick_size));
        o.price("minPrice", market, f.price_min).price("maxPrice", market, price_max);
        o.price("tickSize", market, Price(1));
    });
    filter("LOT_SIZE", &|o| {
        let quantity_max = Quantity(readable(f.quantity_max.0, market.step_size));
        o.quantity("minQty", market, f.quantity_min).quantity("maxQty", market, quantity_max);
        o.decimal("stepSize", market.step_size, 8);
    });
    filter("MARKET_LOT_SIZE", &|o| {
        let quantity_max = Quantity(readable(f.market_quantity_max.0, market.step_size));
        o.quantity("minQty", market, f.quantity_min).quantity("maxQty", market, quantity_max);
        o.decimal("stepSize", market.step_size, 8);
    });
    relative_filters(market, &mut filter);
    count_filters(f, &mut filter);
    out.push(']');
}

/// The filters that bound how many orders an account has, and those of special orders.
fn count_filters(f: &Filters, filter: &mut WriteFilter<'_>) {
    filter("MAX_NUM_ORDERS", &|o| {
        o.number("maxNumOrders", f.orders_max.into());
    });
    filter("MAX_NUM_ALGO_ORDERS", &|o| {
        o.number("maxNumAlgoOrders", f.algo_orders_max.into());
    });
    special_filters(f, filter);
}

/// Filters of orders with instructions and of amendments, where a market takes them.
fn special_filters(f: &Filters, filter: &mut WriteFilter<'_>) {
    if f.special.allows(Feature::Iceberg) {
        filter("ICEBERG_PARTS", &|o| {
            o.number("limit", f.special.iceberg_parts_max.into());
        });
        filter("MAX_NUM_ICEBERG_ORDERS", &|o| {
            o.number("maxNumIcebergOrders", f.special.iceberg_orders_max.into());
        });
    }
    for (name, key, most) in [
        ("MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends", f.amends_max),
        ("MAX_NUM_ORDER_LISTS", "maxNumOrderLists", f.order_lists_max),
    ] {
        if most > 0 {
            filter(name, &|o| {
                o.number(key, most.into());
            });
        }
    }
    if f.special.allows(Feature::TrailingStop) {
        let (above, below) = (f.special.trailing_above, f.special.trailing_below);
        filter("TRAILING_DELTA", &|o| {
            o.number("minTrailingAboveDelta", above.min.0.into()).number("maxTrailingAboveDelta", above.max.0.into());
            o.number("minTrailingBelowDelta", below.min.0.into()).number("maxTrailingBelowDelta", below.max.0.into());
        });
    }
}

/// Writes a filter of that type, and what it writes behind that.
type WriteFilter<'a> = dyn FnMut(&str, &dyn Fn(&mut Object<'_>)) + 'a;

/// The filters that look at the market's price, or at what an account has. `filter` writes one.
fn relative_filters(market: &Market, filter: &mut WriteFilter<'_>) {
    let f = &market.filters;
    let minutes = u64::from(f.relative.average_minutes);
    let (bid, ask, both) = (market.band(Side::Buy), market.band(Side::Sell), f.relative.percent_price);
    if !bid.is_off() || !ask.is_off() {
        filter("PERCENT_PRICE_BY_SIDE", &|o| {
            band(o, "bidMultiplierUp", "bidMultiplierDown", bid);
            band(o, "askMultiplierUp", "askMultiplierDown", ask);
            o.number("avgPriceMins", minutes);
        });
    }
    if !both.is_off() {
        filter("PERCENT_PRICE", &|o| {
            band(o, "multiplierUp", "multiplierDown", both);
            o.number("avgPriceMins", minutes);
        });
    }
    match f.relative.notional {
        NotionalFilter::Both => filter("NOTIONAL", &|o| {
            o.amount("minNotional", &market.quote, f.notional_min);
            o.flag("applyMinToMarket", !f.relative.market_below_min);
            let notional_max = if is_readable(f.notional_max.0, market.quote.decimals) {
                f.notional_max
            } else {
                Amount(READABLE * whole(market.quote.decimals))
            };
            o.amount("maxNotional", &market.quote, notional_max).flag("applyMaxToMarket", f.relative.market_max);
            o.number("avgPriceMins", minutes);
        }),
        NotionalFilter::Least => filter("MIN_NOTIONAL", &|o| {
            o.amount("minNotional", &market.quote, f.notional_min);
            o.flag("applyToMarket", !f.relative.market_below_min).number("avgPriceMins", minutes);
        }),
        NotionalFilter::Off => {}
    }
    if !f.relative.position_max.is_zero() {
        filter("MAX_POSITION", &|o| {
            o.amount("maxPosition", &market.base, f.relative.position_max);
        });
    }
}

fn band(o: &mut Object<'_>, up: &'static str, down: &'static str, band: Band) {
    multiplier(o.key(up), if band.up_percent == 0 { NO_BAND_UP_PERCENT } else { band.up_percent });
    multiplier(o.key(down), band.down_percent);
}

/// The filters of the whole venue.
fn exchange_filters(out: &mut String, filters: ExchangeFilters) {
    let ExchangeFilters { orders_max, algo_orders_max, iceberg_orders_max, order_lists_max } = filters;
    let all = [
        ("EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders", orders_max),
        ("EXCHANGE_MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders", algo_orders_max),
        ("EXCHANGE_MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders", iceberg_orders_max),
        ("EXCHANGE_MAX_NUM_ORDER_LISTS", "maxNumOrderLists", order_lists_max),
    ];
    let in_force = all.into_iter().filter(|(.., most)| *most != 0);
    out.push_str(&json::array(in_force, |(kind, field, most), out| {
        json::object(out, |o| {
            o.name("filterType", kind).number(field, most.into());
        });
    }));
}

/// Maxima above this many whole units are not shown as they are: fixed-point numbers of 128 bits with 16 digits after
/// the point end there.
const READABLE_BELOW: i128 = 17_000_000_000_000;
/// The value shown instead: a client that respects it breaks no rule.
const READABLE: i128 = 9_000_000_000;

fn whole(decimals: u8) -> i128 {
    power_of_ten(decimals).unwrap_or(i128::MAX)
}

fn is_readable(units: i128, decimals: u8) -> bool {
    units / whole(decimals) < READABLE_BELOW
}

/// A maximum in steps, or less if clients could not hold it.
fn readable(steps: u64, step: Decimal) -> u64 {
    if is_readable(i128::from(steps).saturating_mul(step.units()), step.scale()) {
        return steps;
    }
    let fewer = READABLE.saturating_mul(whole(step.scale())) / step.units().max(1);
    u64::try_from(fewer).unwrap_or(steps).clamp(1, steps.max(1))
}

/// A percentage as a plain multiple: 20 is "0.2", 500 is "5".
fn multiplier(out: &mut String, percent: u32) {
    let (mut units, mut scale) = (percent, 2);
    while scale > 0 && units.is_multiple_of(10) {
        units /= 10;
        scale -= 1;
    }
    out.push('"');
    Decimal::write(i128::from(units), scale, 0, out);
    out.push('"');
}

/// An account with its balances. Rates differ by market, so the rates of the account are the highest that it can meet.
#[must_use]
pub fn account(account: &AccountBalances, unit: TimeUnit, may_trade: bool, omit_zero: bool) -> String {
    let Fees { maker, taker } = account.highest_fees;
    // In the old fields rates are whole ten-thousandths.
    let basis_points = |rate: FeeRate| u64::from(rate.units()) / 10_000;
    let mut out = String::with_capacity(1_024);
    json::object(&mut out, |o| {
        o.number("makerCommission", basis_points(maker)).number("takerCommission", basis_points(taker));
        o.number("buyerCommission", 0).number("sellerCommission", 0);
        json::object(o.key("commissionRates"), |o| {
            json::rate(o.key("maker"), maker);
            json::rate(o.key("taker"), taker);
            json::rate(o.key("buyer"), FeeRate::default());
            json::rate(o.key("seller"), FeeRate::default());
        });
        o.flag("canTrade", may_trade && !account.frozen)
            .flag("canWithdraw", !account.frozen)
            .flag("canDeposit", true)
            .flag("brokered", false);
        o.flag("requireSelfTradePrevention", false).flag("preventSor", false);
        o.number("updateTime", unit.of(account.updated)).name("accountType", "SPOT");
        let balances = account.balances.iter();
        let shown = balances.filter(|(_, b)| !omit_zero || !b.free.is_zero() || !b.held.is_zero());
        let balances = json::array(shown, |(asset, balance), out| {
            json::object(out, |o| {
                o.name("asset", asset.name.as_str());
                o.amount("free", asset, balance.free).amount("locked", asset, balance.held);
            });
        });
        o.key("balances").push_str(&balances);
        o.key("permissions").push_str("[\"SPOT\"]");
        o.number("uid", account.account.0);
        if let Some(group) = account.trade_group {
            o.number("tradeGroupId", group.number().into());
        }
    });
    out
}

/// What an order in this market would pay.
#[must_use]
pub fn commission_rates(market: &Market, fees: FeeParts, discounts: Option<DiscountOf>) -> String {
    let FeeParts { standard, special, tax } = fees;
    let mut out = String::with_capacity(320);
    json::object(&mut out, |o| {
        for (key, Fees { maker, taker }) in [
            ("standardCommissionForOrder", standard),
            ("specialCommissionForOrder", special),
            ("taxCommissionForOrder", tax),
        ] {
            json::object(o.key(key), |o| {
                json::rate(o.key("maker"), maker);
                json::rate(o.key("taker"), taker);
            });
        }
        discount(o, market, discounts);
    });
    out
}

/// What an account pays in this market.
#[must_use]
pub fn commission(market: &Market, fees: FeeParts, discounts: Option<DiscountOf>) -> String {
    let FeeParts { standard, special, tax } = fees;
    let mut out = String::with_capacity(512);
    json::object(&mut out, |o| {
        o.name("symbol", market.symbol.as_str());
        for (key, Fees { maker, taker }) in
            [("standardCommission", standard), ("specialCommission", special), ("taxCommission", tax)]
        {
            json::object(o.key(key), |o| {
                json::rate(o.key("maker"), maker);
                json::rate(o.key("taker"), taker);
                json::rate(o.key("buyer"), FeeRate::default());
                json::rate(o.key("seller"), FeeRate::default());
            });
        }
        discount(o, market, discounts);
    });
    out
}

/// Whether an account pays its fees in the asset in which they are less.
#[must_use]
pub fn discount_use(on: bool) -> String {
    let mut out = String::new();
    json::object(&mut out, |o| {
        o.flag("spotBNBBurn", on).flag("interestBNBBurn", false);
    });
    out
}

/// In which asset fees are less; without one, that of the market's quotes, for clients that want a name.
fn discount(o: &mut Object<'_>, market: &Market, discount: Option<DiscountOf>) {
    json::object(o.key("discount"), |o| {
        let (account, here, asset, less) = match discount {
            None => (false, false, market.quote, 0),
            Some(DiscountOf { asset, basis_points, for_account, for_market }) => {
                (for_account, for_market, asset, basis_points)
            }
        };
        o.flag("enabledForAccount", account).flag("enabledForSymbol", here);
        o.name("discountAsset", asset.name.as_str());
        // Hundredths of a percent are hundred-millionths ten thousand times.
        let rate = FeeRate::from_units(less * 10_000).unwrap_or_default();
        json::rate(o.key("discount"), rate);
    });
}

/// The filters that an account's orders in this market pass. There are none of an asset.
#[must_use]
pub fn account_filters(market: &Market, exchange: ExchangeFilters) -> String {
    let mut out = String::with_capacity(1_024);
    json::object(&mut out, |o| {
        exchange_filters(o.key("exchangeFilters"), exchange);
        filters(o.key("symbolFilters"), market);
        o.key("assetFilters").push_str("[]");
    });
    out
}

/// The orders that an account has placed, for each limit in force.
#[must_use]
pub fn order_counts(limits: &LimitsConfig, counted: OrderCount) -> String {
    let both = [("SECOND", 10, limits.orders_10s, counted.short), ("DAY", 1, limits.orders_1d, counted.day)];
    let in_force = both.into_iter().filter(|(.., limit, _)| *limit != 0);
    json::array(in_force, |(interval, length, limit, count), out| {
        json::object(out, |o| {
            o.name("rateLimitType", "ORDERS").name("interval", interval).number("intervalNum", length);
            o.number("limit", limit).number("count", count);
        });
    })
}
