//! Each kind of event and of registry command, and an inventory, as version 2 wrote them. The bytes never change.

use super::*;
use crate::command::{ChangeMarket, IssueApiKey, ListAsset, ListMarket, OpenAccount, RevokeApiKey};
use crate::event::{
    CloseReason, DepthChanged, LastTrade, MarketImported, OrderClosed, OrderImported, OrderPlaced, Party, Trade,
};
use crate::import::{Book, Held, Placed, Standing};
use crate::peer::{Admitted, Settlement};
use crate::registry::{Account, ApiKey, Change, Credential, Permissions};
use crate::transfer::Transfer;
use crate::{Answer, Refusal};
use crossbook_types::market::Description;

fn asset(id: u32, name: &str) -> Asset {
    Asset { id: AssetId(id), name: AssetName::new_checked(name).unwrap(), decimals: 8 }
}

fn filters() -> Filters {
    Filters {
        price_min: Price(1),
        price_max: Price(1_000),
        quantity_min: Quantity(2),
        quantity_max: Quantity(2_000),
        market_quantity_max: Quantity(3_000),
        notional_min: Amount(4),
        notional_max: Amount(4_000),
        band_up_percent: 500,
        band_down_percent: 20,
        orders_max: 200,
        algo_orders_max: 5,
    }
}

fn fees() -> Fees {
    let rate = |text| FeeRate::from_decimal(Decimal::parse(text).unwrap()).unwrap();
    Fees { maker: rate("0.001"), taker: rate("0.002") }
}

fn description() -> Description {
    Description {
        id: SymbolId(0),
        symbol: SymbolName::new_checked("BTCUSDT").unwrap(),
        base: asset(0, "BTC"),
        quote: asset(1, "USDT"),
        tick_size: Decimal::parse("0.01").unwrap(),
        step_size: Decimal::parse("0.00001").unwrap(),
        filters: filters(),
        fees: fees(),
        status: MarketStatus::Break,
        self_trade: crossbook_types::SelfTradeRules::ALL,
    }
}

/// A market whose filters once allowed more than they do.
fn market() -> Market {
    let wide = Filters { price_max: Price(5_000), quantity_max: Quantity(6_000), ..filters() };
    let wide = Market::new_checked(Description { filters: wide, ..description() }).unwrap();
    wide.changed(filters(), fees(), MarketStatus::Break).unwrap()
}

fn account() -> Account {
    Account { id: AccountId(1001), label: "desk".to_owned(), opened: Timestamp(5) }
}

fn api_key(credential: Credential) -> ApiKey {
    ApiKey {
        key: ApiKeyId::new_checked("key").unwrap(),
        account: AccountId(1001),
        permissions: Permissions { read: true, trade: false },
        credential,
        allowed_ips: vec!["10.0.0.0/8".to_owned()],
        issued: Timestamp(6),
    }
}

fn moved_transfer() -> Transfer {
    Transfer {
        account: AccountId(1001),
        asset: AssetId(1),
        amount: Amount(-5),
        transfer: TransferId::new_checked("t").unwrap(),
        time: Timestamp(7),
    }
}

fn placed(size: Size) -> OrderPlaced {
    OrderPlaced {
        order: OrderId(300),
        symbol: SymbolId(2),
        account: AccountId(1001),
        client_order_id: ClientOrderId::new_checked("c").unwrap(),
        side: Side::Sell,
        order_type: OrderType::TakeProfitLimit,
        time_in_force: TimeInForce::Fok,
        price: Some(Price(300)),
        size,
        stop_price: Some(Price(301)),
        self_trade_prevention: SelfTradePrevention::ExpireMaker,
    }
}

fn order_moved_in() -> OrderImported {
    OrderImported {
        placed: placed(Size::Base(Quantity(9))),
        executed: Quantity(4),
        executed_quote: Amount(40),
        placed_at: Timestamp(8),
        updated: Timestamp(9),
        working_since: Some(Timestamp(8)),
    }
}

fn market_moved_in() -> MarketImported {
    MarketImported {
        symbol: SymbolId(2),
        next_order: OrderId(300),
        last: Some(LastTrade {
            trade: TradeId(12),
            price: Price(13),
            quantity: Quantity(14),
            quote: Amount(15),
            taker_side: Side::Sell,
            time: Timestamp(16),
        }),
        aggregate_trades: 1,
        depth_update: 2,
        next_prevented: crossbook_types::PreventedMatchId::FIRST,
    }
}

fn trade() -> Trade {
    let party = |order, fee| Party { order: OrderId(order), account: AccountId(1000 + order), fee: Amount(fee) };
    Trade {
        symbol: SymbolId(2),
        trade: TradeId(17),
        price: Price(18),
        quantity: Quantity(19),
        quote: Amount(20),
        taker_side: Side::Buy,
        taker: party(21, 22),
        maker: party(23, 24),
    }
}

fn closed(reason: CloseReason) -> Event {
    Event::OrderClosed(OrderClosed { symbol: SymbolId(2), order: OrderId(300), account: AccountId(1001), reason })
}

fn answered(answer: Answer) -> Event {
    Event::Answered { source: GATEWAY, number: RequestNumber(7), answer }
}

fn events() -> Vec<Event> {
    let (symbol, order, account_id) = (SymbolId(2), OrderId(300), AccountId(1001));
    let cancel_id = ClientOrderId::new_checked("x").unwrap();
    let key = ApiKeyId::new_checked("key").unwrap();
    vec![
        Event::AssetListed(asset(0, "BTC")),
        Event::MarketListed(Box::new(market())),
        Event::MarketChanged(Box::new(market())),
        Event::AccountOpened(Box::new(account())),
        Event::ApiKeyIssued(Box::new(api_key(Credential::Hmac { sealed: vec![1, 2, 3] }))),
        Event::ApiKeyRevoked { account: account_id, key },
        Event::Transferred(Box::new(moved_transfer())),
        Event::OrderPlaced(placed(Size::Quote(Amount(500)))),
        Event::OrderTriggered { symbol, order, account: account_id },
        Event::Traded(trade()),
        closed(CloseReason::Filled),
        closed(CloseReason::Canceled { cancel_id }),
        closed(CloseReason::Expired),
        closed(CloseReason::SelfTradePrevented),
        Event::DepthChanged(DepthChanged {
            symbol,
            side: Side::Buy,
            price: Price(25),
            quantity: Quantity(26),
            update: 27,
        }),
        Event::BalanceChanged { account: account_id, asset: AssetId(1), free: Amount(28), held: Amount(29) },
        answered(Answer::AssetListed(AssetId(1))),
        answered(Answer::MarketListed(symbol)),
        answered(Answer::MarketChanged(symbol)),
        answered(Answer::AccountOpened(account_id)),
        answered(Answer::ApiKeyIssued(key)),
        answered(Answer::ApiKeyRevoked(key)),
        answered(Answer::Transferred(Box::new(moved_transfer()))),
        answered(Answer::Placed { symbol, order }),
        answered(Answer::Canceled { symbol, order }),
        answered(Answer::CanceledAll { symbol, count: 30 }),
        answered(Answer::Refused(Refusal::Importing)),
        answered(Answer::Refused(Refusal::Filter(Filter::MaxAlgoOrders))),
        answered(Answer::Refused(Refusal::Market(market::Error::Band))),
        answered(Answer::Refused(Refusal::MisfitPiece)),
        answered(Answer::Imported),
        Event::MarketImported(Box::new(market_moved_in())),
        Event::OrderImported(Box::new(order_moved_in())),
        Event::MoneyImported { account: account_id, asset: AssetId(1), amount: Amount(31) },
        Event::TransferImported(Box::new(moved_transfer())),
    ]
}

fn commands() -> Vec<Body> {
    let origin = Origin { source: GATEWAY, number: RequestNumber(9) };
    let key = ApiKeyId::new_checked("key").unwrap();
    let hold = HoldId(1 << 32 | 5);
    let Body::Place(new_order) = order("ab", 4) else { unreachable!("an order") };
    let settlement = Settlement {
        account: AccountId(1001),
        hold,
        symbol: SymbolId(2),
        pay_asset: AssetId(0),
        pay: Amount(40),
        improvement: Amount(41),
        receive_asset: AssetId(1),
        receive: Amount(42),
        fee: Amount(43),
    };
    let peer = [
        PeerMessage::Registry(Change::Asset(asset(0, "BTC"))),
        PeerMessage::Registry(Change::Market(Box::new(market()))),
        PeerMessage::Registry(Change::Account(Box::new(account()))),
        PeerMessage::Admit(Admitted { order: new_order, hold, budget: Amount(44), fees: fees(), origin }),
        PeerMessage::CancelAll {
            request: crate::command::CancelAll {
                account: AccountId(1001),
                symbol: SymbolId(2),
                cancel_id: ClientOrderId::new_checked("x").unwrap(),
            },
            origin,
        },
        PeerMessage::Settle(settlement),
        PeerMessage::Release { account: AccountId(1001), hold },
    ];
    let held = Held { hold, account: AccountId(1001), asset: AssetId(1), amount: Amount(45) };
    let standing =
        Placed { order: order_moved_in(), hold, budget: Amount(46), fees: fees(), fee_credit: FeeCredit::NONE };
    let pieces = [
        Piece::Assets(vec![asset(0, "BTC"), asset(1, "USDT")]),
        Piece::Markets(vec![market()]),
        Piece::Accounts(vec![account()]),
        Piece::ApiKeys(vec![api_key(Credential::Rsa { public: vec![4, 5] })]),
        Piece::Transfers(vec![moved_transfer()]),
        Piece::Holds(vec![held]),
        Piece::Market(market_moved_in()),
        Piece::Orders(vec![standing]),
    ];
    let registry = [
        Body::ListAsset(ListAsset { name: AssetName::new_checked("BTC").unwrap(), decimals: 8 }),
        Body::ListMarket(Box::new(ListMarket { description: description() })),
        Body::ChangeMarket(Box::new(ChangeMarket {
            symbol: SymbolId(2),
            filters: Some(filters()),
            fees: Some(fees()),
            status: Some(MarketStatus::Halt),
            self_trade: None,
        })),
        Body::OpenAccount(OpenAccount { label: "desk".to_owned() }),
        Body::IssueApiKey(Box::new(IssueApiKey {
            account: AccountId(1001),
            key,
            permissions: Permissions { read: true, trade: true },
            credential: Credential::Ed25519 { public: vec![6; 32] },
            allowed_ips: Vec::new(),
        })),
        Body::RevokeApiKey(RevokeApiKey { account: AccountId(1001), key }),
    ];
    let pieces = pieces.map(|piece| Body::Import(Box::new(piece)));
    registry.into_iter().chain(peer.map(Body::Peer)).chain(pieces).collect()
}

fn inventory() -> Inventory {
    let owned = |account, amount| Owned { account, asset: AssetId(1), amount: Amount(amount) };
    Inventory {
        assets: vec![asset(0, "BTC"), asset(1, "USDT")],
        markets: vec![market()],
        accounts: vec![account()],
        api_keys: vec![api_key(Credential::Hmac { sealed: vec![1, 2, 3] })],
        transfers: vec![moved_transfer()],
        balances: vec![owned(AccountId(1001), 47)],
        fees: vec![owned(AccountId::FEES, 48)],
        books: vec![Book {
            market: market_moved_in(),
            orders: vec![Standing {
                order: order_moved_in(),
                held: Amount(49),
                fees: fees(),
                fee_credit: FeeCredit::NONE,
            }],
        }],
    }
}

/// The samples, one a line, as version 2 wrote them.
const WRITTEN: &str = include_str!("version_2.hex");

fn lines(kind: &str) -> Vec<Vec<u8>> {
    WRITTEN.lines().filter_map(|line| line.strip_prefix(kind)).map(unhex).collect()
}

#[test]
fn commands_of_version_2_are_read() {
    let (commands, written) = (commands(), lines("command "));
    assert_eq!(commands.len(), written.len());
    for (body, bytes) in commands.into_iter().zip(written) {
        let command = decode_command(Sequence(3), Timestamp(4), &bytes).unwrap();
        assert_eq!((command.rules, command.body), (Rules::V1, body));
    }
}

#[test]
fn events_of_versions_1_and_2_are_read() {
    let cause = Cause { sequence: Sequence(3), time: Timestamp(4) };
    let (events, written) = (events(), lines("event "));
    assert_eq!(events.len(), written.len());
    for (event, mut bytes) in events.into_iter().zip(written) {
        assert_eq!(decode_events(&bytes).unwrap(), (cause, vec![event.clone()]));
        bytes[0] = 1;
        assert_eq!(decode_events(&bytes).unwrap(), (cause, vec![event]));
    }
}

#[test]
fn what_a_partition_published_in_version_2_is_read() {
    let told = Published {
        cause: Cause { sequence: Sequence(3), time: Timestamp(4) },
        source: GATEWAY,
        number: RequestNumber(7),
        sent: vec![(PartitionId(2), RequestNumber(50))],
        events: events(),
    };
    assert_eq!(decode_published(&lines("told ")[0]), Ok(told));
}

#[test]
fn an_inventory_of_version_2_is_read() {
    let bytes = &lines("inventory ")[0];
    assert_eq!(decode_export::<(Sequence, Timestamp)>(bytes), Ok(((Sequence(51), Timestamp(52)), inventory())));
}
