//! A small venue for the tests: one market, two funded accounts, and orders for it.

use crossbook_oracle::sample::{btcusdt, decimal};
use crossbook_protocol::Body;
use crossbook_protocol::command::{ListAsset, ListMarket, OpenAccount, TransferRequest};
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_types::market::Description;
use crossbook_types::{
    AccountId, Amount, Asset, AssetId, ClientOrderId, OrderType, Price, Quantity, SelfTradePrevention, Side, SymbolId,
    TimeInForce, TransferId,
};

pub const ALICE: AccountId = AccountId::FIRST_CLIENT;
pub const BOB: AccountId = AccountId(AccountId::FIRST_CLIENT.0 + 1);

/// The commands that set the venue up.
pub fn setup() -> Vec<Body> {
    let description = Description { step_size: decimal("0.0001"), ..btcusdt() };
    let list = |asset: Asset| Body::ListAsset(ListAsset { name: asset.name, decimals: asset.decimals });
    let deposit = |account, asset| {
        let transfer = TransferId::new_checked("first").unwrap();
        Body::Transfer(TransferRequest { account, asset: AssetId(asset), amount: Amount(1 << 60), transfer })
    };
    vec![
        list(description.base),
        list(description.quote),
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
            stop_price: None,
            self_trade_prevention: SelfTradePrevention::None,
        },
    })
}

/// The `n`th order of a stream in which both accounts trade.
pub fn traffic(n: u64) -> Body {
    if n.is_multiple_of(2) { order(ALICE, Side::Buy, n) } else { order(BOB, Side::Sell, n) }
}
