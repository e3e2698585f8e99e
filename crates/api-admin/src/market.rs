//! Listing and changing markets: decimals into ticks and lots, and rules where the operator gave none.

use bytes::Bytes;
use crossbook_protocol::command::{Body, ChangeMarket, ListMarket};
use crossbook_types::market::{self, Description};
use crossbook_types::{
    Amount, Band, Decimal, FeeRate, Fees, Filters, Market, MarketStatus, NotionalFilter, Price, Quantity,
    SelfTradePrevention, SelfTradeRules, SpecialFilters, SymbolId, SymbolName, TrailingDelta,
};
use serde_json::Value;

use super::asked::Asked;
use super::defaults;
use super::render;
use super::request::{NewMarket, Number, Rules, new_name, read};
use crate::error::AdminError;
use crossbook_gateway::Gateway;

const BAND_UP_PERCENT: u32 = 500;
const BAND_DOWN_PERCENT: u32 = 20;
const ORDERS_MAX_DEFAULT: u32 = 200;
const ALGO_ORDERS_MAX: u32 = 5;
/// See [`ALGO_ORDERS_MAX`]; how often an order may be amended.
const AMENDS_MAX: u32 = 10;
/// See [`ALGO_ORDERS_MAX`]; open order lists of an account.
const ORDER_LISTS_MAX: u32 = 20;
/// The largest `maxNumOrders`. A cancel of all orders, and some orders with self-trade prevention, look at all open
/// orders of their account in the market within one command, so this bounds how long one command can take.
const ORDERS_MAX: u32 = 100_000;

pub(super) async fn list(gateway: &Asked<'_>, body: &Bytes) -> Result<Value, AdminError> {
    let request: NewMarket = read(body)?;
    new_name("symbol", request.symbol.as_str())?;
    let asset = |name: &str| {
        let listed = gateway.read_model.registry().asset_named(name).copied();
        listed.ok_or_else(|| AdminError::not_found(format!("There is no asset {name}; list it first.")))
    };
    let quote = asset(request.quote_asset.as_str())?;
    let (tick_size, step_size) = (request.tick_size.decimal("tickSize")?, request.step_size.decimal("stepSize")?);
    let quantity_max = defaults::quantity_max(step_size);
    let mut description = Description {
        id: SymbolId(0),
        symbol: request.symbol,
        base: asset(request.base_asset.as_str())?,
        quote,
        tick_size,
        step_size,
        filters: Filters {
            price_min: Price(1),
            price_max: defaults::price_max(tick_size),
            quantity_min: Quantity(1),
            quantity_max,
            market_quantity_max: quantity_max,
            notional_min: Amount::ZERO,
            notional_max: defaults::notional_max(tick_size, quote.decimals),
            band_up_percent: BAND_UP_PERCENT,
            band_down_percent: BAND_DOWN_PERCENT,
            orders_max: ORDERS_MAX_DEFAULT,
            algo_orders_max: ALGO_ORDERS_MAX,
            amends_max: AMENDS_MAX,
            special: SpecialFilters::USUAL,
            relative: crossbook_types::RelativeFilters::default(),
            order_lists_max: ORDER_LISTS_MAX,
        },
        fees: Fees::default(),
        status: MarketStatus::Trading,
        self_trade: SelfTradeRules::ALL,
    };
    fit_defaults(&mut description);
    let steps = Steps { description };
    let rules = request.rules();
    let mut given = steps.apply(&rules)?;
    make_room(&mut given.filters, &rules);
    shown(gateway, Body::ListMarket(Box::new(ListMarket { description: given }))).await
}

/// The market of that name.
pub(super) fn named(gateway: &Gateway, symbol: &str) -> Result<Market, AdminError> {
    SymbolName::new_checked(symbol)
        .ok()
        .and_then(|name| gateway.read_model.registry().market_named(name.as_str()).copied())
        .ok_or_else(|| AdminError::not_found("There is no such market; list it first."))
}

pub(super) async fn change(gateway: &Asked<'_>, symbol: &str, body: &Bytes) -> Result<Value, AdminError> {
    let rules: Rules = read(body)?;
    let market = named(gateway, symbol)?;
    let before = market.description();
    let after = Steps { description: before }.apply(&rules)?;
    let change = ChangeMarket {
        symbol: market.id,
        filters: (after.filters != before.filters).then_some(after.filters),
        fees: (after.fees != before.fees).then_some(after.fees),
        status: (after.status != before.status).then_some(after.status),
        self_trade: (after.self_trade != before.self_trade).then_some(after.self_trade),
    };
    shown(gateway, Body::ChangeMarket(Box::new(change))).await
}

/// Ends a market; or what is left of the last one of that name, if no other has it.
pub(super) async fn delist(gateway: &Asked<'_>, symbol: &str) -> Result<Value, AdminError> {
    let market = named(gateway, symbol).or_else(|error| {
        let registry = gateway.read_model.registry();
        registry.markets().iter().rfind(|market| market.symbol.as_str() == symbol).copied().ok_or(error)
    })?;
    shown(gateway, Body::DelistMarket { symbol: market.id }).await
}

/// Sends a command that lists or changes a market, and describes the market as that command has made it.
async fn shown(gateway: &Asked<'_>, body: Body) -> Result<Value, AdminError> {
    let market = gateway.submit(body).await?.market.ok_or_else(AdminError::internal)?;
    Ok(render::market(&market))
}

/// Lowers the default largest quantity until the worth of the largest order fits. If something else is wrong, the
/// partition will say what.
fn fit_defaults(description: &mut Description) {
    while Market::new_checked(*description).err() == Some(market::Error::TooLarge)
        && description.filters.quantity_max.0 > 10
    {
        let quantity_max = Quantity(description.filters.quantity_max.0 / 10);
        description.filters.quantity_max = quantity_max;
        description.filters.market_quantity_max = quantity_max;
    }
}

/// Raises default maxima that are below a minimum that the operator gave.
fn make_room(filters: &mut Filters, rules: &Rules) {
    /// A default maximum is at least this many times the minimum.
    const ROOM: u64 = 1_000;
    let f = filters;
    if rules.max_price.is_none() && f.price_min > f.price_max {
        f.price_max = Price(f.price_min.0.saturating_mul(ROOM)).min(Price::MAX);
    }
    if rules.max_qty.is_none() && f.quantity_min > f.quantity_max {
        f.quantity_max = Quantity(f.quantity_min.0.saturating_mul(ROOM)).min(Quantity::MAX);
        if rules.market_max_qty.is_none() {
            f.market_quantity_max = f.quantity_max;
        }
    }
    if rules.max_notional.is_none() && f.notional_min > f.notional_max {
        f.notional_max = Amount(f.notional_min.0.saturating_mul(ROOM.into())).min(Amount::MAX);
    }
}

/// Reads rules in the steps of a market.
struct Steps {
    description: Description,
}

impl Steps {
    /// The description with the given rules instead of its own.
    fn apply(&self, rules: &Rules) -> Result<Description, AdminError> {
        let mut after = self.description;
        let f = &mut after.filters;
        self.price("minPrice", &rules.min_price, &mut f.price_min)?;
        self.price("maxPrice", &rules.max_price, &mut f.price_max)?;
        self.quantity("minQty", &rules.min_qty, &mut f.quantity_min)?;
        self.quantity("maxQty", &rules.max_qty, &mut f.quantity_max)?;
        if rules.max_qty.is_some() {
            f.market_quantity_max = f.market_quantity_max.min(f.quantity_max);
        }
        self.quantity("marketMaxQty", &rules.market_max_qty, &mut f.market_quantity_max)?;
        self.amount("minNotional", &rules.min_notional, &mut f.notional_min)?;
        self.amount("maxNotional", &rules.max_notional, &mut f.notional_max)?;
        percent("multiplierUp", &rules.multiplier_up, &mut f.band_up_percent)?;
        percent("multiplierDown", &rules.multiplier_down, &mut f.band_down_percent)?;
        self.relative(rules, f)?;
        f.orders_max = orders_max(rules.max_num_orders, f.orders_max)?;
        f.amends_max = rules.max_num_order_amends.unwrap_or(f.amends_max);
        f.order_lists_max = rules.max_num_order_lists.unwrap_or(f.order_lists_max);
        f.algo_orders_max = rules.max_num_algo_orders.unwrap_or(f.algo_orders_max.min(f.orders_max));
        f.special.pegged = rules.peg_instructions_allowed.unwrap_or(f.special.pegged);
        f.special.iceberg_parts_max = rules.iceberg_parts.unwrap_or(f.special.iceberg_parts_max);
        f.special.iceberg_orders_max = rules.max_num_iceberg_orders.unwrap_or(f.special.iceberg_orders_max);
        for (given, into) in [
            (rules.min_trailing_above_delta, &mut f.special.trailing_above.min),
            (rules.max_trailing_above_delta, &mut f.special.trailing_above.max),
            (rules.min_trailing_below_delta, &mut f.special.trailing_below.min),
            (rules.max_trailing_below_delta, &mut f.special.trailing_below.max),
        ] {
            *into = given.map_or(*into, TrailingDelta);
        }
        fee("makerFee", &rules.maker_fee, &mut after.fees.maker)?;
        fee("takerFee", &rules.taker_fee, &mut after.fees.taker)?;
        if let Some(name) = &rules.status {
            after.status = MarketStatus::from_name(name).ok_or_else(|| {
                let not_given = [MarketStatus::AuctionMatch, MarketStatus::Delisted];
                let given = MarketStatus::ALL.iter().filter(|status| !not_given.contains(status));
                let names: Vec<_> = given.map(|status| status.as_str()).collect();
                AdminError::invalid(format!("status is {name:?}; there are {}.", names.join(", ")))
            })?;
        }
        after.self_trade = self_trade(rules, after.self_trade)?;
        Ok(after)
    }

    /// The filters that look at the market's price, or at what an account has.
    fn relative(&self, rules: &Rules, filters: &mut Filters) -> Result<(), AdminError> {
        let usual = Band { up_percent: filters.band_up_percent, down_percent: filters.band_down_percent };
        let f = &mut filters.relative;
        if rules.ask_multiplier_up.is_some() || rules.ask_multiplier_down.is_some() {
            let band = f.sell_band.get_or_insert(usual);
            percent("askMultiplierUp", &rules.ask_multiplier_up, &mut band.up_percent)?;
            percent("askMultiplierDown", &rules.ask_multiplier_down, &mut band.down_percent)?;
        }
        percent("percentPriceUp", &rules.percent_price_up, &mut f.percent_price.up_percent)?;
        percent("percentPriceDown", &rules.percent_price_down, &mut f.percent_price.down_percent)?;
        f.average_minutes = rules.avg_price_mins.unwrap_or(f.average_minutes);
        if let Some(name) = &rules.notional_filter {
            f.notional = NotionalFilter::from_name(name).ok_or_else(|| {
                let names: Vec<_> = NotionalFilter::ALL.iter().map(|filter| filter.as_str()).collect();
                AdminError::invalid(format!("notionalFilter is {name:?}; there are {}.", names.join(", ")))
            })?;
        }
        f.market_below_min = rules.apply_min_to_market.map_or(f.market_below_min, |applies| !applies);
        f.market_max = rules.apply_max_to_market.unwrap_or(f.market_max);
        amount("maxPosition", &rules.max_position, self.description.base.decimals, &mut f.position_max)
    }

    fn price(&self, name: &str, given: &Option<Number>, into: &mut Price) -> Result<(), AdminError> {
        let step = self.description.tick_size;
        *into = steps(name, given, step, "tickSize", Price::MAX.0)?.map_or(*into, Price);
        Ok(())
    }

    fn quantity(&self, name: &str, given: &Option<Number>, into: &mut Quantity) -> Result<(), AdminError> {
        let step = self.description.step_size;
        *into = steps(name, given, step, "stepSize", Quantity::MAX.0)?.map_or(*into, Quantity);
        Ok(())
    }

    fn amount(&self, name: &str, given: &Option<Number>, into: &mut Amount) -> Result<(), AdminError> {
        amount(name, given, self.description.quote.decimals, into)
    }
}

fn amount(name: &str, given: &Option<Number>, decimals: u8, into: &mut Amount) -> Result<(), AdminError> {
    let Some(given) = given else { return Ok(()) };
    let units = given.decimal(name)?.rescale(decimals);
    *into = units.filter(|units| (0..=Amount::MAX.0).contains(units)).map(Amount).ok_or_else(|| {
        AdminError::invalid(format!("{name} must be positive, with at most {decimals} digits after the point."))
    })?;
    Ok(())
}

/// The modes of self-trade prevention that orders may have.
fn self_trade(rules: &Rules, before: SelfTradeRules) -> Result<SelfTradeRules, AdminError> {
    let mode = |field: &str, name: &str| {
        SelfTradePrevention::from_name(name).ok_or_else(|| {
            let names: Vec<_> = SelfTradePrevention::ALL.iter().map(|mode| mode.as_str()).collect();
            AdminError::invalid(format!("{field} has {name:?}; there are {}.", names.join(", ")))
        })
    };
    let default = match &rules.default_self_trade_prevention_mode {
        Some(name) => mode("defaultSelfTradePreventionMode", name)?,
        None => before.default_mode(),
    };
    let allowed = match &rules.allowed_self_trade_prevention_modes {
        Some(names) => {
            let modes = names.iter().map(|name| mode("allowedSelfTradePreventionModes", name));
            modes.collect::<Result<Vec<_>, _>>()?
        }
        None => before.allowed().collect(),
    };
    SelfTradeRules::new_checked(default, allowed).ok_or_else(|| {
        AdminError::invalid(format!(
            "allowedSelfTradePreventionModes must have the default mode, {}; give defaultSelfTradePreventionMode too.",
            default.as_str()
        ))
    })
}

fn steps(name: &str, given: &Option<Number>, step: Decimal, of: &str, max: u64) -> Result<Option<u64>, AdminError> {
    let Some(given) = given else { return Ok(None) };
    let steps = given.decimal(name)?.steps_of(step).and_then(|steps| u64::try_from(steps).ok());
    steps.filter(|&steps| steps <= max).map(Some).ok_or_else(|| {
        AdminError::invalid(format!("{name} must be a whole number of steps of {of}, and at most 2^42 - 1 of them."))
    })
}

fn percent(name: &str, given: &Option<Number>, into: &mut u32) -> Result<(), AdminError> {
    let Some(given) = given else { return Ok(()) };
    let percent = given.decimal(name)?.rescale(2).and_then(|percent| u32::try_from(percent).ok());
    *into = percent.ok_or_else(|| {
        AdminError::invalid(format!("{name} must be a multiple with at most two digits after the point."))
    })?;
    Ok(())
}

fn fee(name: &str, given: &Option<Number>, into: &mut FeeRate) -> Result<(), AdminError> {
    let Some(given) = given else { return Ok(()) };
    *into = FeeRate::from_decimal(given.decimal(name)?).ok_or_else(|| {
        AdminError::invalid(format!(
            "{name} must be from 0 to below 1, with at most 8 digits after the point; 0.001 is a tenth of a percent."
        ))
    })?;
    Ok(())
}

/// The most open orders that an account may have in a market, at most [`ORDERS_MAX`].
fn orders_max(given: Option<u32>, before: u32) -> Result<u32, AdminError> {
    let Some(given) = given else { return Ok(before) };
    if given == 0 || given > ORDERS_MAX {
        return Err(AdminError::invalid(format!(
            "maxNumOrders must be from 1 to {ORDERS_MAX}: one command may look at all open orders of an account in a \
             market."
        )));
    }
    Ok(given)
}
