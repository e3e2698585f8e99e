//! A small venue for the tests: one market, two funded accounts, and orders for it.

use crossbook_protocol::Body;
use crossbook_protocol::command::{ListAsset, ListMarket, OpenAccount, TransferRequest};
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_types::{
    AccountId, Amount, Asset, AssetId, AssetName, ClientOrderId, Decimal, Fees, Filters, MarketStatus, OptionalPrice,
    OrderType, Price, Quantity, SelfTradePrevention, Side, SymbolId, SymbolName, TimeInForce, TransferId, market,
};

pub const ALICE: AccountId = AccountId::FIRST_CLIENT;
pub const BOB: AccountId = AccountId(AccountId::FIRST_CLIENT.0 + 1);

/// The commands that set the venue up.
pub fn setup() -> Vec<Body> {
    let name = |text| AssetName::new_checked(text).unwrap();
    let (base, quote) = (name("BTC"), name("USDT"));
    let asset = |id, name| Asset { id: AssetId(id), name, decimals: 8 };
    let description = market::Description {
        id: SymbolId(0),
        symbol: SymbolName::new_checked("BTCUSDT").unwrap(),
        base: asset(0, base),
        quote: asset(1, quote),
        tick_size: Decimal::parse("0.01").unwrap(),
        step_size: Decimal::parse("0.0001").unwrap(),
        filters: Filters {
            price_min: Price(1),
            price_max: Price(1_000_000),
            quantity_min: Quantity(1),
            quantity_max: Quantity(1_000_000),
            market_quantity_max: Quantity(1_000_000),
            notional_min: Amount(0),
            notional_max: Amount(1 << 100),
            band_up_percent: 0,
            band_down_percent: 0,
            orders_max: 100_000,
            algo_orders_max: 10,
            amends_max: 10,
            special: crossbook_types::SpecialFilters::USUAL,
            relative: crossbook_types::RelativeFilters::default(),
            order_lists_max: 10,
        },
        fees: Fees::default(),
        status: MarketStatus::Trading,
        self_trade: crossbook_types::SelfTradeRules::ALL,
    };
    let deposit = |account, asset| {
        let transfer = TransferId::new_checked("first").unwrap();
        Body::Transfer(TransferRequest { account, asset: AssetId(asset), amount: Amount(1 << 60), transfer })
    };
    vec![
        Body::ListAsset(ListAsset { name: base, decimals: 8 }),
        Body::ListAsset(ListAsset { name: quote, decimals: 8 }),
        Body::ListMarket(Box::new(ListMarket { description })),
        Body::OpenAccount(OpenAccount { label: "alice".to_owned() }),
        Body::OpenAccount(OpenAccount { label: "bob".to_owned() }),
        deposit(ALICE, 1),
        deposit(BOB, 0),
    ]
}

/// A limit order; `n` names it and varies its price and quantity.
pub fn order(account: AccountId, side: Side, n: u64) -> Body {
    Body::Place(NewOrder {
        account,
        terms: OrderTerms {
            symbol: SymbolId(0),
            client_order_id: ClientOrderId::new_checked(&format!("order-{n}")).unwrap(),
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Some(Price(1_000 + n % 7)),
            size: Size::Base(Quantity(1 + n % 5)),
            stop_price: OptionalPrice::NONE,
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        },
    })
}

/// The `n`th order of a stream in which both accounts trade.
pub fn traffic(n: u64) -> Body {
    if n.is_multiple_of(2) { order(ALICE, Side::Buy, n) } else { order(BOB, Side::Sell, n) }
}
